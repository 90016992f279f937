"""The portal as a whole: headers, words, assets, and trouble told in words."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest
from fastapi import FastAPI

from kernel.errors import ConfigurationError
from pipeline import wiring
from pipeline.settings import ROOT, read_settings
from policy.decision import Result
from policy.verification.verdict import Outcome
from portal.app import FOLDER, create_app, session_secret
from portal.words import WORDS
from registry.kinds import Role
from tests.pipeline.world import CLAIM
from tests.portal.conftest import LogIn
from tests.portal.county import Site, Visitor
from warehouse import ledger

PAGES = ["/login", "/streams", "/quarantine", "/metrics", "/claims", f"/claims/{CLAIM}"]
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))


@pytest.mark.parametrize("path", [*PAGES, "/nowhere", "/static/style.css", "/static/none.css"])
def test_every_answer_is_guarded(as_user: LogIn, path: str) -> None:
    headers = as_user("engineer").get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert "script-src" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    is_static = path.startswith("/static/")
    assert headers["cache-control"] == ("no-cache" if is_static else "no-store")


@pytest.mark.parametrize("path", PAGES)
def test_no_page_needs_another_machine_or_an_inline_script(as_user: LogIn, path: str) -> None:
    visitor = as_user("engineer")
    if path == "/login":
        visitor = Visitor(visitor.app)
    text = visitor.get(path).text
    loaded = re.findall(r'(?:src|href|action)="([^"]+)"', text)
    assert loaded
    assert all(re.match(r"/(?!/)|#", each) for each in loaded)
    for each in loaded:
        if each.startswith("/static/"):
            assert visitor.get(each).status_code == 200
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<[^>]*\son[a-z]+=", re.sub(r'"[^"]*"', "", text))
    assert 'style="' not in text


def test_our_own_style_and_script_name_no_address() -> None:
    for path in (FOLDER / "static").glob("*.*"):
        if path.suffix in {".css", ".js"}:
            assert not re.search(r"https?:|//[a-z]|@import|url\(", path.read_text("utf-8")), path


def test_vendored_files_are_those_that_are_listed() -> None:
    listed = (FOLDER / "static" / "VENDORED.md").read_text("utf-8")
    rows = re.findall(r"^\| (vendor/\S+) \|.*\| ([0-9a-f]{64}) \|$", listed, re.MULTILINE)
    found = {path.name for path in (FOLDER / "static" / "vendor").glob("*.js")}
    assert {name.removeprefix("vendor/") for name, _ in rows} == found
    for name, digest in rows:
        data = (FOLDER / "static" / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest, name
    for licence in re.findall(r"vendor/\w+\.(?:LICENSE|NOTICE)", listed):
        assert (FOLDER / "static" / licence).is_file(), licence


def test_every_word_is_in_both_languages() -> None:
    for key, title in WORDS.items():
        assert title.zh.strip(), key
        assert title.en.strip(), key
    same = {key for key, title in WORDS.items() if title.zh == title.en}
    assert not same


def test_every_word_used_exists_and_every_word_is_used() -> None:
    templates = "".join(path.read_text("utf-8") for path in TEMPLATES)
    ours = [path for path in FOLDER.rglob("*.py") if path.name != "words.py"]
    sources = templates + "".join(path.read_text("utf-8") for path in ours)
    literal = set(re.findall(r"\bt\('([a-z_]+)'\)", templates))
    made = {f"role_{each}" for each in Role}
    made |= {f"outcome_{each}" for each in Result} | {f"line_{each}" for each in Outcome}
    assert not (literal | made) - set(WORDS)
    unused = [
        key
        for key in WORDS
        if key not in made and f"'{key}'" not in sources and f'"{key}"' not in sources
    ]
    assert not unused, f"remove {unused} from portal/words.py"


def test_every_form_carries_its_token() -> None:
    for path in TEMPLATES:
        text = path.read_text("utf-8")
        for form in re.findall(r"<form.*?</form>", text, re.DOTALL):
            assert 'name="csrf" value="{{ csrf }}"' in form, path.name
            assert 'method="post"' in form, path.name
        assert "|safe" not in text.replace(" ", ""), path.name


@pytest.mark.parametrize(
    "path", ["/nowhere", "/static/none.js", "/claims/", "/docs", "/openapi.json"]
)
def test_what_is_not_there_is_told_in_words(as_user: LogIn, path: str) -> None:
    answer = as_user("auditor").get(path)
    assert answer.status_code == 404
    assert "没有此内容，或不在您的查看范围内。" in answer.text
    assert "补贴申报" in answer.text


def test_the_wrong_method_is_told_in_words(portal: FastAPI) -> None:
    visitor = Visitor(portal)
    answer = visitor.get("/logout")
    assert answer.status_code in {404, 405}
    assert "返回首页" in answer.text


def test_a_form_that_is_too_large_is_not_read(portal: FastAPI) -> None:
    visitor = Visitor(portal)
    form = {"csrf": visitor.token(), "username": "x", "password": "x" * 100_000}
    assert visitor.post("/login", form).status_code == 413


def test_health_needs_no_login(portal: FastAPI) -> None:
    answer = Visitor(portal).get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site) -> Path:
    """Give a copy of the county's state to break."""
    shutil.copytree(site.settings.state_dir, tmp_path / "state")
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def _inside(name: str) -> Visitor:
    visitor = Visitor(create_app())
    assert visitor.log_in(name).status_code == 303
    return visitor


def test_a_lake_that_is_gone_is_an_empty_one(broken: Path) -> None:
    shutil.rmtree(broken / "lake")
    visitor = _inside("engineer")
    assert [visitor.get(path).status_code for path in PAGES[1:5]] == [200] * 4
    assert "还没有评定过的申报。" in visitor.get("/claims").text


def test_a_lake_that_cannot_be_read_is_told_in_words(broken: Path) -> None:
    for path in (broken / "lake").rglob("*.parquet"):
        path.write_bytes(b"rubbish")
    for name, told in (("engineer", True), ("auditor", False)):
        visitor = _inside(name)
        for path in ("/quarantine", "/claims", "/streams"):
            answer = visitor.get(path)
            assert answer.status_code == 500
            assert "暂时无法读取数据。" in answer.text
            assert "Traceback" not in answer.text
            # Where things lie on the machine concerns its engineers only.
            assert ("<pre>" in answer.text) == told
            assert (str(broken) in answer.text) <= told
            assert answer.headers["x-frame-options"] == "DENY"


def test_a_ledger_that_was_changed_is_told_as_such(broken: Path) -> None:
    store = wiring.store(read_settings())
    rows = store.open(ledger.TABLE).dataset().to_table()
    place = rows.column_names.index("merkle_root")
    forged = rows.set_column(place, "merkle_root", rows["merkle_root"].take([1, 0]))
    store.open(ledger.TABLE).replace(forged, {})
    answer = _inside("auditor").get("/streams")
    assert answer.status_code == 503
    assert "封存的记录与原件不符，请勿采信。" in answer.text


def test_a_registry_that_cannot_be_used_is_told_in_words(broken: Path) -> None:
    visitor = _inside("engineer")
    wiring.registry(read_settings()).close()
    for path in broken.glob("registry.sqlite*"):
        path.write_bytes(b"rubbish" * 1000) if path.suffix == ".sqlite" else path.unlink()
    answer = visitor.get("/claims")
    assert answer.status_code == 503
    assert "暂时无法读取数据。" in answer.text
    assert str(broken) not in answer.text
    assert visitor.log_in("engineer").status_code == 503


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe" * 40])
def test_a_weak_or_unreadable_key_of_sessions_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    monkeypatch.setenv("NPLUSX_PORTAL_SECRET_FILE", str(path))
    with pytest.raises(ConfigurationError, match=r"key of session cookies|secret is not text"):
        session_secret(read_settings())


def test_artefacts_are_not_committed() -> None:
    assert "artefacts/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()

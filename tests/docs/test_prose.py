"""Prose is true: paths exist, commands run, the tree is the tree, generated pages are current."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import typer
from typer.main import get_command
from typer.testing import CliRunner

from contracts.formats import FORMATS
from contracts.loader import all_contracts
from pipeline import STAGES, cli, reference
from pipeline.settings import Settings
from tests.code_health.tree import PACKAGES, ROOT, python_files

PAGES = sorted(
    path.relative_to(ROOT)
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if "reference" not in path.parts
)
_NOT_A_FILE = re.compile(r"^application/|[<*…]|^docs/reference$|\.state|PACK|FILE")


def _text(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def test_generated_pages_are_current() -> None:
    assert reference.drifted() == [], "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`([a-z_]+/[\w./<>*…-]*)`", _text(page))
    named += [
        (page.parent / link).as_posix()
        for link in re.findall(r"\]\(((?!https?:)[^)#]+)\)", _text(page))
    ]
    missing = [
        path for path in named if not _NOT_A_FILE.search(path) and not (ROOT / path).exists()
    ]
    assert not missing, f"{page} names {missing}"


def _spoken(path: Path) -> list[str]:
    """List what a page, or a module in its strings and docstrings, has in backticks."""
    text = _text(path)
    if path.suffix == ".py":
        text = "\n\n".join(_strings(ast.parse(text)))
    text = re.sub(r"```\w*\n(.*?)```", _as_backticked_lines, text, flags=re.DOTALL)
    return [quoted.replace("\n", " ") for quoted in re.findall(r"`([^`]+)`", text)]


def _as_backticked_lines(block: re.Match[str]) -> str:
    return "\n".join(f"`{line.split('#')[0].strip()}`" for line in block[1].splitlines() if line)


def _strings(node: ast.AST) -> Iterator[str]:
    """Give each text with `…` in the place of what is computed."""
    if isinstance(node, ast.JoinedStr):
        parts = [each.value if isinstance(each, ast.Constant) else "…" for each in node.values]
        yield "".join(str(part) for part in parts)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for inner in ast.iter_child_nodes(node):
            yield from _strings(inner)


def _unknown(command: object, words: list[str]) -> str:
    """Follow words down the command line; name the first word or option that is not there."""
    for word in words:
        inner = getattr(command, "commands", None)
        if word.startswith("--"):
            if not any(word in each.opts for each in getattr(command, "params", ())):
                return word
        elif inner is not None and re.fullmatch("[a-z]+", word):
            if word not in inner:
                return word
            command = inner[word]
    return ""


@pytest.mark.parametrize("path", [*PAGES, *python_files(*PACKAGES)], ids=str)
def test_every_command_that_a_page_or_a_cure_names_is_there(path: Path) -> None:
    root = get_command(cli.assemble())
    targets = set(re.findall(r"^([a-z]+):", _text(Path("Makefile")), re.MULTILINE))
    for said in _spoken(path):
        program, *words = said.split() or [""]
        if program == "nplusx":
            wrong = _unknown(root, words)
            assert not wrong, f"{path} names `{said}`, and there is no {wrong!r}"
        elif program == "make" and words:
            assert words[0] in targets, f"{path} names `{said}`, and there is no such target"


@pytest.mark.parametrize(
    "line", re.findall(r"^\$ nplusx (contract .*)$", _text(Path("docs/contracts.md")), re.MULTILINE)
)
def test_every_command_of_the_page_on_contracts_runs(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    ended = CliRunner().invoke(
        cli.assemble(), line.split(), env={"NPLUSX_STATE_DIR": str(tmp_path)}
    )
    # The command pointed the log to what the runner captured.
    structlog.reset_defaults()
    assert ended.exit_code == 0, ended.output
    assert ended.output


def test_the_page_on_contracts_lists_every_format() -> None:
    listed = re.findall(r"^\| `([a-z]+)` \|", _text(Path("docs/contracts.md")), re.MULTILINE)
    assert listed == list(FORMATS)


def test_every_command_explains_itself() -> None:
    def walk(command: object, name: str) -> None:
        assert getattr(command, "help", None), f"{name} has no help"
        for inner, each in (getattr(command, "commands", None) or {}).items():
            walk(each, f"{name} {inner}")

    for name, command in (getattr(get_command(cli.assemble()), "commands", None) or {}).items():
        walk(command, name)


def test_the_tree_in_the_readme_is_the_tree() -> None:
    shown = re.findall(r"^([a-z]+)/ ", _text(Path("README.md")), re.MULTILINE)
    hidden = {"artefacts", "build", "nplusx.egg-info"}
    there = {
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith((".", "__")) and path.name not in hidden
    }
    assert set(shown) == there
    assert set(PACKAGES) <= set(shown)


def test_the_picture_in_the_readme_names_every_stage_in_order() -> None:
    picture = _text(Path("README.md")).split("## The flow")[1].split("## The tree")[0]
    places = [picture.index(stage) for stage in STAGES]
    assert places == sorted(places)


def test_the_picture_is_that_of_the_dags() -> None:
    """Each stage's DAG waits for the asset that the stage before it leaves."""
    before = {"refine": "landing", "measure": "core", "assess": "metric", "seal": "decision"}
    for stage, asset in before.items():
        text = (ROOT / "dags" / f"{stage}.py").read_text("utf-8")
        assert asset in text, f"dags/{stage}.py does not wait for {asset}"


def test_the_contracts_table_lists_every_contract() -> None:
    pages = {path.stem for path in (ROOT / "docs/reference/contracts").glob("*.md")}
    assert pages == set(all_contracts())


def test_every_setting_is_described() -> None:
    for area, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", {})
        assert inner, area
        for key, each in inner.items():
            assert each.description, f"{area}.{key} has no description"


def test_the_console_script_is_the_assembled_app() -> None:
    assert isinstance(cli.assemble(), typer.Typer)

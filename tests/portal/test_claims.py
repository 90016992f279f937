"""Claims: decisions line by line with their reasons; a factory's own, and its pack."""

import html
import io
import zipfile
from decimal import Decimal

import pytest

from kernel import canonical
from pipeline import promises, wiring
from pipeline.assess import decisions
from pipeline.seal import pack_path
from tests.pipeline.world import CLAIM, row
from tests.portal.conftest import LogIn
from tests.portal.county import NAME, OTHER_CLAIM, Site
from tests.rows import FACTORY

COUNTY = ["engineer", "auditor", "leader"]


@pytest.mark.parametrize("name", COUNTY)
def test_the_county_sees_every_claim_with_title_and_enterprise(as_user: LogIn, name: str) -> None:
    text = as_user(name).get("/claims").text
    assert CLAIM in text
    assert OTHER_CLAIM in text
    assert "生产线数字化改造" in text
    assert "邻厂项目" in text
    assert NAME in text
    assert "50,000.00" in text
    assert "给予补贴" in text
    assert "不予补贴" in text


@pytest.mark.parametrize(
    ("name", "own", "other"), [("factory", CLAIM, OTHER_CLAIM), ("neighbour", OTHER_CLAIM, CLAIM)]
)
def test_a_factory_sees_its_own_claims_sums_and_packs_only(
    as_user: LogIn, name: str, own: str, other: str
) -> None:
    inside = as_user(name)
    text = inside.get("/claims").text
    assert own in text
    assert other not in text
    assert ("50,000.00" in text) == (own == CLAIM)
    assert inside.get(f"/claims/{own}").status_code == 200
    assert inside.get(f"/claims/{own}/pack").status_code == 200
    for path in (f"/claims/{other}", f"/claims/{other}/pack"):
        theirs, none = inside.get(path), inside.get(path.replace(other, "CL-NONE"))
        assert theirs.status_code == none.status_code == 404
        # Not even whether it exists is told.
        assert theirs.text.replace(other, "") == none.text.replace("CL-NONE", "")


def test_a_factory_user_without_a_factory_sees_no_claim(as_user: LogIn) -> None:
    inside = as_user("nobody")
    assert "还没有评定过的申报。" in inside.get("/claims").text
    assert inside.get(f"/claims/{CLAIM}").status_code == 404
    assert inside.get(f"/claims/{CLAIM}/pack").status_code == 404


def test_a_decision_is_shown_line_by_line_with_every_reason(site: Site, as_user: LogIn) -> None:
    row = next(row for row in decisions(site.store) if row["claim_id"] == CLAIM)
    text_of = row["decision"]
    assert isinstance(text_of, bytes)
    decision = canonical.loads(text_of)
    assert isinstance(decision, dict)
    inside = as_user("auditor")
    for language, key in (("zh-CN", "reason_zh"), ("en", "reason_en")):
        text = inside.get(f"/claims/{CLAIM}").text
        assert f'<html lang="{language}">' in text
        verdicts = [*decision["verdicts"], *(v for ln in decision["lines"] for v in ln["verdicts"])]
        assert {each["outcome"] for each in verdicts} == {"allowed", "refused"}
        for verdict in verdicts:
            assert html.escape(verdict[key], quote=False).replace("'", "&#39;") in text
            assert f"<code>{verdict['rule']}</code>" in text
        for line in decision["lines"]:
            assert f'id="line-{line["line_no"]}"' in text
            assert line["invoice_no"] in text
            assert all(origin.split("@")[1] in text for origin in line["evidence"])
        for each in (*decision["ruling"]["trace"], *decision["rule_trace"]):
            assert f"<code>{each['name']}</code>" in text
        inside.post("/language", {"csrf": inside.token("/claims"), "back": "/claims"})


def test_amounts_clause_and_unconfirmed_readings_are_shown(as_user: LogIn) -> None:
    text = as_user("factory").get(f"/claims/{CLAIM}").text
    assert "200,000.00" in text
    assert "<b>25%</b>" in text
    assert "<i>=</i>" in text
    assert "*软件*生产执行系统" in text
    assert "扩面企业补贴25%" in text
    assert "扩面企业补贴比例" in text
    assert "投入按不含税或含税计算" in text
    # What the other reading would pay, in bold since it differs.
    assert "<code>gross</code> → <b>56,500.00</b>" in text
    assert "复核前暂定" not in text


def test_a_ceiling_and_an_open_question_are_not_hidden(
    as_user: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portal.pages import claims

    def limited(row: dict[str, object]) -> dict[str, object]:
        decision = canonical.loads(row["decision"])
        decision |= {"amount_cny": "20000.00", "is_amount_provisional": True, "rate": "0.125"}
        changed = {"amount_cny": Decimal(20000), "outcome": "needs_person"}
        return {**row, **changed, "decision": canonical.dumps(decision)}

    one, every = claims.newest_decision, claims.decisions
    monkeypatch.setattr(claims, "newest_decision", lambda *of: limited(one(*of)))
    monkeypatch.setattr(claims, "decisions", lambda store: [limited(row) for row in every(store)])
    inside = as_user("auditor")
    text = inside.get(f"/claims/{CLAIM}").text
    assert "<b>12.5%</b>" in text
    assert "<i>→</i>" in text
    assert "受上限等规则限制" in text
    assert "复核前暂定" in text
    # What waits for a person is not counted as granted.
    assert '<div class="tile main"><b>0.00</b>' in inside.get("/claims").text


def test_the_pack_is_the_sealed_one(site: Site, as_user: LogIn) -> None:
    answer = as_user("factory").get(f"/claims/{CLAIM}/pack")
    assert answer.headers["content-type"] == "application/zip"
    assert f'filename="{CLAIM}-' in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"
    assert zipfile.ZipFile(io.BytesIO(answer.content)).testzip() is None


def test_a_pack_without_its_ledger_entry_is_not_handed_out(
    as_user: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portal.pages import claims

    monkeypatch.setattr(claims.ledger, "entries", lambda _store: [])
    inside = as_user("auditor")
    assert inside.get(f"/claims/{CLAIM}/pack").status_code == 404
    text = inside.get(f"/claims/{CLAIM}").text
    assert "证据包尚未封存" in text
    assert "/pack" not in text


def test_a_lost_pack_is_not_offered(site: Site, as_user: LogIn) -> None:
    row = next(row for row in decisions(site.store) if row["claim_id"] == OTHER_CLAIM)
    path = pack_path(site.settings, row)
    kept = path.read_bytes()
    path.unlink()
    try:
        inside = as_user("neighbour")
        assert inside.get(f"/claims/{OTHER_CLAIM}/pack").status_code == 404
        assert "证据包尚未封存" in inside.get(f"/claims/{OTHER_CLAIM}").text
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize("claim", ["..", "%2e%2e", "..%2f..%2fregistry.sqlite", "<script>", "'"])
def test_an_odd_name_is_no_claim(as_user: LogIn, claim: str) -> None:
    answer = as_user("auditor").get(f"/claims/{claim}/pack")
    assert answer.status_code == 404
    assert "<script>" not in answer.text


def test_the_factory_is_who_the_registry_says(site: Site) -> None:
    user = wiring.user(site.settings, "factory")
    assert user is not None
    assert user.enterprise_uscc == FACTORY


def test_claims_that_wait_are_told_to_the_county_and_to_their_own_factory(
    site: Site, as_user: LogIn
) -> None:
    invoice = "erp.purchase_invoice.v1"
    site.send(invoice, row(invoice, invoice_id="PX", item_text="螺丝"))
    site.send(invoice, row(invoice, invoice_id="PX", item_text="软件"))
    site.land()
    promises.look(site.settings)
    for name, is_told in (("auditor", True), ("factory", True), ("neighbour", False)):
        text = as_user(name).get("/claims").text
        assert ("invoice_id.version" in text) == is_told
        assert ("暂缓评定" in text) == is_told

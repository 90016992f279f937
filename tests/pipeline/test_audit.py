"""Audit: Great Expectations agrees row by row; a disagreement keeps the task red."""

import re

import pyarrow as pa
import pytest

from contracts.loader import all_contracts, find, parse
from contracts.violations import Kind
from kernel.errors import ChecksFailedError
from kernel.evidence import SigningKey
from pipeline import audit as auditing
from pipeline import wiring
from pipeline.audit import audit, docs_folder
from pipeline.replay import replay
from registry.keys import save_key
from tests.pipeline.world import AGENTS, LONG_AGO, World, row
from tests.rows import FACTORY
from warehouse import quarantine

INVOICE = "erp.purchase_invoice.v1"
# Everything that gate and suite both judge, one broken promise a row.
BROKEN = [
    {"line_no": 0}, {"line_no": 10000}, {"seller_uscc": "91330523719500014X"},
    {"issued_on": "1999-12-31"}, {"tax_rate": "1.0001"}, {"item_text": "字" * 201},
    {"currency": "cny"}, {"invoice_no": "2433"}, {"net_amount": None},
]  # fmt: skip


def test_gate_and_second_opinion_agree_and_each_row_is_audited_once(world: World) -> None:
    good = [row(INVOICE, invoice_id=f"G{n}", line_no=n + 1) for n in range(3)]
    bad = [row(INVOICE, invoice_id=f"B{n}", **change) for n, change in enumerate(BROKEN)]
    gone = {"invoice_id": "G1", "line_no": 2, "_op": "delete"}
    world.send(INVOICE, *good, *bad)
    world.send(INVOICE, gone)
    world.land()
    assert audit()["rows"] == {INVOICE: len(good) + len(bad) + 1}
    assert audit()["rows"] == {INVOICE: 0}
    page = docs_folder(world.settings) / INVOICE / "index.html"
    assert page.is_file()


def test_a_disagreement_is_a_finding_and_the_task_stays_red(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(INVOICE, row(INVOICE))
    world.land()

    def contrary(rows: pa.Table, *_: object) -> list[set[str]]:
        return [{f"net_amount.{Kind.MINIMUM}"} for _ in range(rows.num_rows)]

    monkeypatch.setattr(auditing, "second_opinion", contrary)
    for _ in range(2):
        with pytest.raises(ChecksFailedError, match="disagree on 1 rows"):
            audit()
    (finding,) = auditing.findings(world.store)
    assert (finding["gate"], finding["second_opinion"]) == ([], ["net_amount.minimum"])
    # The suite is mended: both agree, and what was found is settled by itself.
    monkeypatch.undo()
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(world.settings.state_dir))
    assert audit()["findings"] == 0
    assert auditing.findings(world.store) == []


def test_a_table_of_an_older_version_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [("who", pa.string()), ("why", pa.string())]
    world.store.create(auditing.TABLE, pa.schema([*auditing.SCHEMA, *said]))
    world.send(INVOICE, row(INVOICE))
    world.land()
    with monkeypatch.context() as patched:
        patched.setattr(auditing, "second_opinion", _contrary)
        with pytest.raises(ChecksFailedError, match="disagree on 1 rows"):
            audit()
    assert audit()["findings"] == 0


def test_what_gx_misses_and_the_gate_does_not_is_a_disagreement(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that is missing is forgiven only where the gate found one of another type."""
    world.send(INVOICE, row(INVOICE, line_no=0))
    world.land()
    monkeypatch.setattr(
        auditing, "second_opinion",
        lambda rows, *_: [{"line_no.minimum", "tax_rate.required"}] * rows.num_rows,
    )  # fmt: skip
    with pytest.raises(ChecksFailedError, match=r"tax_rate\.required"):
        audit()


def test_many_refused_rows_are_audited_in_bounded_slices(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPLUSX_AUDIT_ROWS", "3")
    for number in range(4):
        world.send(INVOICE, *(row(INVOICE, invoice_id=f"I{number}-{n}", line_no=0) for n in "ab"))
    world.land()
    looked = [sum(audit()["rows"].values()) for _ in range(4)]
    assert sum(looked) == 8
    assert max(looked) <= 4


def _next_version(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    """Let the contract's next version say something else."""
    text = find(INVOICE).text
    assert old in text
    newer = parse(
        re.sub("version: 1.*", "version: 1.9.0", text, count=1).replace(old, new), INVOICE
    )
    monkeypatch.setitem(all_contracts(), newer.id, newer)


def _contrary(rows: pa.Table, *_: object) -> list[set[str]]:
    return [{"net_amount.minimum"} for _ in range(rows.num_rows)]


def test_what_a_replay_landed_gets_a_second_opinion(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(INVOICE, row(INVOICE), row(INVOICE, line_no=2, currency="cny"))
    world.send(INVOICE, row(INVOICE, line_no=3), row(INVOICE, line_no=4, currency="cny"))
    world.keys[FACTORY] = SigningKey(b"\x09" * 32)
    world.send(INVOICE, row(INVOICE, line_no=5), row(INVOICE, line_no=6, currency="x"))
    world.land()
    assert audit()["rows"] == {INVOICE: 4}
    # Two rows are good by the next version, and the last record's key is registered by now.
    _next_version(monkeypatch, "^[A-Z]{3}$", "^[A-Za-z]{3}$")
    save_key(wiring.registry(world.settings), AGENTS[FACTORY], world.keys[FACTORY].public, LONG_AGO)
    assert replay(INVOICE).accepted == 3
    monkeypatch.setattr(auditing, "second_opinion", _contrary)
    with pytest.raises(ChecksFailedError, match="disagree on 4 rows"):
        audit()
    found = sorted((r["offset"], r["row"]) for r in auditing.findings(world.store))
    assert found == [(0, 1), (1, 1), (2, 0), (2, 1)]
    monkeypatch.undo()
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(world.settings.state_dir))
    _next_version(monkeypatch, "^[A-Z]{3}$", "^[A-Za-z]{3}$")
    assert audit() == {"rows": {INVOICE: 0}, "findings": 0}


def test_what_a_replay_landed_before_the_audit_came_there_is_audited_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(INVOICE, row(INVOICE, currency="cny"))
    world.land()
    _next_version(monkeypatch, "^[A-Z]{3}$", "^[A-Za-z]{3}$")
    assert replay(INVOICE).accepted == 1
    assert audit()["rows"] == {INVOICE: 1}
    assert audit()["rows"] == {INVOICE: 0}


def test_rows_that_an_earlier_version_judged_are_not_judged_by_the_present_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(INVOICE, row(INVOICE), row(INVOICE, line_no=2, currency="cny"))
    world.land()
    _next_version(monkeypatch, "minimum: '2000-01-01'", "minimum: '2099-01-01'")
    assert audit() == {"rows": {INVOICE: 0}, "findings": 0}
    world.send(INVOICE, row(INVOICE, line_no=3))
    world.land()
    assert audit() == {"rows": {INVOICE: 1}, "findings": 0}


def test_a_quarantined_row_keeps_all_its_reasons_and_its_key(world: World) -> None:
    world.send(INVOICE, row(INVOICE, line_no=0, tax_rate="2"))
    world.land()
    (held,) = world.store.open(quarantine.QUARANTINE).dataset().to_table().to_pylist()
    assert sorted(held["reasons"]) == ["line_no.minimum", "tax_rate.maximum"]
    assert held["business_key"] == '{"invoice_id":"PI1","line_no":0}'


def test_more_refused_rows_than_a_body_may_hold_are_audited_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        world.send(INVOICE, *(row(INVOICE, invoice_id=f"I{number}-{n}", line_no=0) for n in "ab"))
    world.land()
    monkeypatch.setattr("contracts.decode.MOST_ROWS", 4)
    assert audit()["rows"] == {INVOICE: 6}


def test_of_two_audits_at_once_each_row_is_looked_at_by_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(INVOICE, row(INVOICE))
    world.land()
    look, others = auditing._opinions, [dict[str, object]()]

    def meanwhile(*of: object) -> object:
        if others:
            others.pop()
            others_rows.update(audit()["rows"])
        return look(*of)

    others_rows: dict[str, int] = {}
    monkeypatch.setattr(auditing, "_opinions", meanwhile)
    assert audit()["rows"] == {INVOICE: 0}
    assert others_rows == {INVOICE: 1}

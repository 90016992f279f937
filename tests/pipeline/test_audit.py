"""Audit: Great Expectations agrees row by row; a disagreement keeps the task red."""

import pyarrow as pa
import pytest

from contracts.violations import Kind
from kernel.errors import ChecksFailedError
from pipeline import audit as auditing
from pipeline.audit import audit, docs_folder
from tests.pipeline.world import World, row
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

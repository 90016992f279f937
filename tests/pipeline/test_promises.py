"""Promises across rows: what has not come after all, versions that differ, and who must wait."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from bus import memory
from bus.envelope import Batch
from contracts.loader import all_contracts, find, parse
from contracts.model import Contract
from kernel import clock
from kernel.errors import ChecksFailedError
from kernel.ids import Stream
from pipeline import promises
from pipeline.assess import assess, decisions
from pipeline.doctor import examine, waive
from pipeline.refine import refine
from tests.pipeline.world import CLAIM, FACTORY, World, row, send_books, send_dossier
from tests.rows import arrow_rows
from warehouse import words

LINE, ORDER = "erp.sales_order_line.v1", "erp.sales_order.v1"
INVOICE = "erp.purchase_invoice.v1"


@pytest.fixture
def later(world: World, monkeypatch: pytest.MonkeyPatch):
    """Move the broker's clock on."""

    def move(hours: int) -> None:
        start: datetime = memory._START + timedelta(hours=hours)
        monkeypatch.setattr(memory, "_START", start)

    return move


def order(world: World, number: str, **changes: object) -> None:
    world.send(ORDER, row(ORDER, order_id=number, **changes))


def line(world: World, number: str, order_id: str, **changes: object) -> None:
    world.send(LINE, row(LINE, order_line_id=number, order_id=order_id, **changes))


def look(world: World) -> list[tuple[object, object, object]]:
    """Ask anew, and list what nobody has taken on."""
    world.land()
    promises.look(world.settings)
    found = promises.findings(world.store)
    return [(f["state"], f["code"], f["key"]) for f in found if f["word"] is None]


def take_on(world: World) -> None:
    """Let a person take on all that is open."""
    ids = [each.id for each in examine(world.settings).unexplained]
    waive(ids, words.Word("auditor", "known", clock.now()), world.settings)


def test_a_reference_may_be_late_and_is_broken_once_its_stream_has_gone_on(world, later) -> None:
    order(world, "SO1")
    line(world, "L1", "SO1")
    line(world, "L2", "SO2")
    assert look(world) == []
    later(23)
    order(world, "SO3")
    assert look(world) == []
    later(2)
    order(world, "SO4")
    broken = [("open", "order_id.reference", '{"order_id":"SO2"}')]
    assert look(world) == broken
    assert look(world) == broken
    (finding,) = promises.findings(world.store)
    assert (finding["enterprise"], finding["rows"]) == (FACTORY, 1)
    assert finding["example"] == f"landing__erp_sales_order_line_v1@nplusx.{LINE}/0/1/0"
    with pytest.raises(ChecksFailedError, match="SO2"):
        promises.check(world.settings)
    assert any("order_id.reference" in each for each in examine(world.settings).findings)
    # It comes after all: the finding settles itself.
    order(world, "SO2")
    assert look(world) == []
    assert promises.check(world.settings) == {"broken": 0, "explained": 0, "unchecked": 0}


def test_a_reference_to_a_table_that_stands_still_is_late_once_its_own_stream_has_gone_on(
    world, later
) -> None:
    order(world, "SO1")
    line(world, "L1", "SO2")
    later(30)
    # Nothing came of the source at all meanwhile.
    assert look(world) == []
    line(world, "L2", "SO1")
    line(world, "L3", "SO3")
    assert look(world) == [("open", "order_id.reference", '{"order_id":"SO2"}')]


def test_a_newer_version_that_names_another_mends_a_reference(world, later) -> None:
    order(world, "SO1")
    line(world, "L1", "SO2")
    later(30)
    order(world, "SO3")
    assert len(look(world)) == 1
    line(world, "L1", "SO1", updated_at="2024-06-02T08:00:00Z")
    assert look(world) == []
    line(world, "L2", "SO9")
    later(30)
    order(world, "SO4")
    assert len(look(world)) == 1
    world.send(LINE, {"order_line_id": "L2", "_op": "delete"})
    assert look(world) == []


def test_a_source_that_sends_no_such_rows_is_told_once_and_nobody_waits(world, later) -> None:
    line(world, "L1", "SO1")
    line(world, "L2", "SO2")
    later(30)
    line(world, "L3", "SO3")
    assert look(world) == [("unchecked", "order_id.reference", "{}")]
    assert promises.check(world.settings) == {"broken": 0, "explained": 0, "unchecked": 1}
    assert promises.holding(world.store, {LINE}) == []
    # A stream that has just begun has its time too.
    order(world, "SO1")
    assert look(world) == []
    later(30)
    order(world, "SO3")
    assert [key for _, _, key in look(world)] == ['{"order_id":"SO2"}']


def test_very_many_of_one_source_are_told_as_one(
    world: World, later, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.promises._LISTED", 2)
    order(world, "SO1")
    for number in range(3):
        line(world, f"L{number}", f"MISSING{number}")
    line(world, "L3", "MISSING0")
    later(30)
    order(world, "SO2")
    many = [("open", "order_id.reference", '{"different":3}')]
    assert look(world) == many
    (finding,) = promises.findings(world.store)
    assert finding["rows"] == 4
    # Who takes these on takes on no others, though they be as many.
    take_on(world)
    assert look(world) == []
    order(world, "MISSING0")
    line(world, "L4", "MISSING4")
    later(30)
    order(world, "SO3")
    assert look(world) == many


def test_columns_that_name_one_row_go_together(world, later) -> None:
    detail = "erp.purchase_invoice_line.v1"
    world.send(
        INVOICE, row(INVOICE, invoice_id="A", line_no=1), row(INVOICE, invoice_id="B", line_no=2)
    )
    world.send(detail, row(detail, invoice_id="A", line_no=2, product_code=None))
    later(30)
    world.send(INVOICE, row(INVOICE, invoice_id="C"))
    assert look(world) == [("open", "invoice_id.reference", '{"invoice_id":"A","line_no":2}')]


def test_one_version_with_two_contents_is_broken_until_a_newer_one_comes(world: World) -> None:
    order(world, "SO1")
    order(world, "SO1")
    order(world, "SO2", order_no="A")
    assert look(world) == []
    order(world, "SO2", order_no="B")
    ((state, code, key),) = look(world)
    assert (state, code) == ("open", "order_id.version")
    assert '"order_id":"SO2"' in str(key)
    order(world, "SO2", order_no="B", updated_at="2024-06-02T08:00:00Z")
    assert look(world) == []


def test_a_null_beside_a_value_is_another_content(world: World) -> None:
    order(world, "SO1", store_code=None)
    order(world, "SO1", store_code="S1")
    assert [code for _, code, _ in look(world)] == ["order_id.version"]


def _before_store_code(world: World, monkeypatch: pytest.MonkeyPatch, **sent: object) -> None:
    """Send and land an order by the version of its contract that did not know a column yet."""
    today = find(ORDER)
    kept = tuple(each for each in today.properties if each.name != "store_code")
    before = replace(today, version="1.0.0-rc1", properties=kept)
    monkeypatch.setitem(all_contracts(), ORDER, before)
    order(world, "SO1", **sent)
    world.land()
    monkeypatch.setitem(all_contracts(), ORDER, today)


def test_a_column_adopted_since_is_no_other_content(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An agent of ours reads the object again, now with the column.
    _before_store_code(world, monkeypatch)
    world.epoch = "e2"
    order(world, "SO1", store_code="S1")
    assert look(world) == []
    order(world, "SO1", store_code="S2")
    assert [code for _, code, _ in look(world)] == ["order_id.version"]


def test_what_was_sent_beside_the_contract_and_adopted_since_is_no_other_content(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A vendor sent the column from the first day, and names the same version ever since.
    monkeypatch.setattr("tests.pipeline.world.arrow_rows", _whole_rows)
    monkeypatch.setattr("tests.pipeline.world.Batch", _of_one_version)
    _before_store_code(world, monkeypatch, store_code="S1")
    (beside,) = world.store.open(find(ORDER).table).dataset().to_table()["_extra"].to_pylist()
    assert beside == '{"store_code":"S1"}'
    order(world, "SO1", store_code="S1")
    assert look(world) == []
    order(world, "SO1", store_code=None)
    assert [code for _, code, _ in look(world)] == ["order_id.version"]


def _whole_rows(contract: Contract, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    code = pa.array([each.get("store_code") for each in rows], pa.string())
    table = arrow_rows(contract, rows)
    if "store_code" in table.column_names:
        table = table.drop("store_code")
    return table.append_column("store_code", code)


def _of_one_version(stream: Stream, _version: str, *rest: object) -> Batch:
    return Batch(stream, "1", *rest)


def test_the_claims_of_that_enterprise_wait_and_no_others(world: World) -> None:
    send_books(world)
    send_dossier(world)
    world.send(INVOICE, row(INVOICE, invoice_id="PX", item_text="螺丝", buyer_uscc=FACTORY))
    world.send(INVOICE, row(INVOICE, invoice_id="PX", item_text="软件", buyer_uscc=FACTORY))
    world.land()
    refine()
    held = assess()["held"]
    assert list(held) == [CLAIM]
    assert "invoice_id.version" in held[CLAIM]
    assert decisions(world.store) == []
    # What another enterprise breaks holds nothing back here.
    assert [f["enterprise"] for f in promises.holding(world.store, {INVOICE})] == [FACTORY]
    assert promises.holding(world.store, {ORDER}) == []
    (finding,) = examine(world.settings).unexplained
    waive([finding.id[:5]], words.Word("auditor", "seen", clock.now()), world.settings)
    # A person's word stands, whatever else lands, and is told on.
    world.send(INVOICE, row(INVOICE, invoice_id="PY", buyer_uscc=FACTORY))
    world.land()
    refine()
    assert assess()["decided"] == [CLAIM]
    health = examine(world.settings)
    assert health.ok
    (told,) = health.found
    assert told.id == finding.id
    assert told.word is not None
    assert (told.word["who"], told.word["why"]) == ("auditor", "seen")


def test_what_has_not_changed_is_not_asked_again(world: World, monkeypatch) -> None:
    # The table of what it refers to does not exist yet.
    line(world, "L1", "SO1")
    look(world)
    monkeypatch.setattr("pipeline.promises.Promises", None)
    look(world)
    order(world, "SO2")
    with pytest.raises(TypeError):
        look(world)


def _promising(contract_id: str, said: str) -> Contract:
    return parse(find(contract_id).text.replace("\nschema:\n", f"\n{said}schema:\n"), "test")


def test_a_stream_that_is_silent_while_its_source_goes_on_breaks_its_frequency(
    world: World, later, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "slaProperties:\n  - {property: frequency, value: 1, unit: d}\n"
    contracts = {**all_contracts(), LINE: _promising(LINE, said)}
    monkeypatch.setattr(promises, "all_contracts", lambda: contracts)
    order(world, "SO1")
    line(world, "L1", "SO1")
    later(30)
    # The source as a whole is silent: nobody can tell this stream from the others.
    assert look(world) == []
    order(world, "SO2")
    assert look(world) == [("open", "frequency", "{}")]
    assert [f["enterprise"] for f in promises.holding(world.store, {LINE})] == [FACTORY]
    # Who takes on a silence takes on no later one.
    take_on(world)
    assert look(world) == []
    line(world, "L2", "SO1")
    assert look(world) == []
    later(100)
    order(world, "SO3")
    assert look(world) == [("open", "frequency", "{}")]
    # Nothing is promised any more.
    monkeypatch.setattr(promises, "all_contracts", all_contracts)
    assert look(world) == []


def test_a_contract_that_is_gone_promises_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(world, "SO1", order_no="A")
    order(world, "SO1", order_no="B")
    assert len(look(world)) == 1
    left = {name: each for name, each in all_contracts().items() if name not in {ORDER, LINE}}
    monkeypatch.setattr(promises, "all_contracts", lambda: left)
    assert look(world) == []


def test_too_few_rows_of_a_source_break_their_number(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = find(ORDER).text.replace(
        "    properties:\n",
        "    quality:\n      - {metric: rowCount, mustBeGreaterOrEqualTo: 2}\n    properties:\n",
        1,
    )
    contracts = {**all_contracts(), ORDER: parse(text, "test")}
    monkeypatch.setattr(promises, "all_contracts", lambda: contracts)
    order(world, "SO1")
    assert look(world) == [("open", "rows", "{}")]
    # Neither another version of an object nor one that was deleted is one more.
    order(world, "SO1", updated_at="2024-06-02T08:00:00Z")
    assert look(world) == [("open", "rows", "{}")]
    order(world, "SO2")
    assert look(world) == []
    world.send(ORDER, {"order_id": "SO2", "_op": "delete"})
    assert look(world) == [("open", "rows", "{}")]
    # Fewer than those that somebody took on are another finding.
    take_on(world)
    world.send(ORDER, {"order_id": "SO1", "_op": "delete"})
    assert look(world) == [("open", "rows", "{}")]


def test_a_third_content_is_another_break_and_one_told_again_is_not(world: World) -> None:
    order(world, "SO1", order_no="A")
    order(world, "SO1", order_no="B")
    assert len(look(world)) == 1
    take_on(world)
    order(world, "SO1", order_no="A")
    assert look(world) == []
    order(world, "SO1", order_no="C")
    assert [code for _, code, _ in look(world)] == ["order_id.version"]


def test_another_row_that_names_what_has_not_come_is_another_break(world: World, later) -> None:
    order(world, "SO1")
    line(world, "L1", "SO9")
    later(30)
    order(world, "SO2")
    broken = look(world)
    assert len(broken) == 1
    take_on(world)
    line(world, "L1", "SO9")
    assert look(world) == []
    line(world, "L2", "SO9")
    assert look(world) == broken


def test_a_table_of_an_older_version_goes_on(world: World) -> None:
    said = [("who", pa.string()), ("why", pa.string())]
    world.store.create(promises.TABLE, pa.schema([*promises.SCHEMA, *said]))
    order(world, "SO1", order_no="A")
    order(world, "SO1", order_no="B")
    assert [code for _, code, _ in look(world)] == ["order_id.version"]


def test_two_looks_at_once_tell_a_finding_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(world, "SO1", order_no="A")
    order(world, "SO1", order_no="B")
    world.land()
    found, looks = promises._found, []

    def raced(*asked: object):
        looks.append(asked)
        if len(looks) == 1:
            promises.look(world.settings)
        return found(*asked)

    monkeypatch.setattr(promises, "_found", raced)
    promises.look(world.settings)
    assert len(looks) == 2
    assert world.store.open(promises.TABLE).dataset().count_rows() == 1

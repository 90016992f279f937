"""Faults are planted by name where a source holds them, and the gate refuses what truth says."""

from collections import Counter
from datetime import timedelta
from functools import cache

import pytest

from contracts.gate import judge
from contracts.loader import find
from county.books import Books, make_books
from county.faults import FAULTS, SHARED_PLATE, Planted, key_of, plant
from county.shape import as_arrow
from county.sources import SYSTEMS, WIRES, as_told, held, plantable
from county.truth import SEED
from county.world import Factory, factories, period
from tests.county.test_books import as_sent

FACTORIES = factories(7, SYSTEMS, WIRES)


@cache
def planted_in(factory: Factory, times: int = 3) -> tuple[Books, Books, tuple[Planted, ...]]:
    """Give books as they are right, the same with faults, and what was planted."""
    right, books = (make_books(factory, period(6), SEED) for _ in range(2))
    for each in (right, books):
        as_told(factory, each)
    wrong = dict.fromkeys(FAULTS, times)
    return right, books, plant(books, factory, wrong, SEED, plantable(factory))


@pytest.mark.parametrize("factory", FACTORIES[1:], ids=lambda each: each.system)
def test_the_gate_refuses_exactly_what_was_planted(factory: Factory) -> None:
    _, books, planted = planted_in(factory)
    found = set()
    for name, rows in as_arrow(books).items():
        contract = find(name)
        for at, reasons in judge(as_sent(rows), contract, {}).refused.items():
            row = rows.slice(at, 1).to_pylist()[0]
            found |= {(name, key_of(name, row), each.code) for each in reasons}
    assert found == {(each.contract, each.key, each.reason) for each in planted if each.reason}


@pytest.mark.parametrize("factory", FACTORIES[1:], ids=lambda each: each.system)
def test_no_row_has_two_faults_and_every_fault_stands_where_a_source_holds_it(
    factory: Factory,
) -> None:
    _, _, planted = planted_in(factory)
    assert {each.contract for each in planted} <= held(factory)
    rows = Counter((p.contract, p.key) for p in planted if p.fault != "staged")
    assert set(rows.values()) == {1}
    wanted = {name for name, fault in FAULTS.items() if set(fault.contracts) & plantable(factory)}
    assert {each.fault for each in planted} == wanted


def test_together_the_products_hold_every_fault() -> None:
    assert {p.fault for each in FACTORIES[1:] for p in planted_in(each)[2]} == set(FAULTS)


def test_what_lands_though_it_is_wrong_is_told_too() -> None:
    told = {}
    for factory in (FACTORIES[1], FACTORIES[3]):
        right, books, planted = planted_in(factory, 1)
        told = {each.fault: each for each in planted if not each.reason}
        payments = books["erp.payment.v1"]
        (again,) = [e for e in payments if e["payment_id"] == told["duplicate_payment"].key]
        assert len([e for e in payments if e["bank_reference"] == again["bank_reference"]]) == 2
        for fault in ("missing_number", "wrong_unit", "late_row"):
            contract, key = told[fault].contract, told[fault].key
            (was,) = [row for row in right[contract] if key_of(contract, row) == key]
            now = [row for row in books[contract] if key_of(contract, row) == key]
            assert (now == []) if fault == "missing_number" else (now != [was]), fault
        days = {e["started_at"].date() for e in books["mes.equipment_state.v1"]}
        assert max(days) - min(days) < timedelta(days=7)
        states = (len(each["mes.equipment_state.v1"]) for each in (books, right))
        assert next(states) < next(states) / 10
    plates = {e["equipment_code"]: e["serial_no"] for e in books["mes.equipment.v1"]}
    assert plates[told["second_hand"].key] == SHARED_PLATE

"""Faults are planted by name, and the gate refuses exactly what the truth says."""

from datetime import timedelta

import pytest

from contracts.gate import judge
from contracts.loader import find
from county.books import make_books
from county.faults import FAULTS, SHARED_PLATE, parse, plant
from county.shape import as_arrow
from county.truth import SEED
from county.world import factories, period
from kernel.errors import ConfigurationError
from tests.county.test_books import as_sent

SMALL = factories(2, ("yonyou_u8",))[1]


@pytest.mark.parametrize("times", [1, 3])
def test_the_gate_refuses_exactly_what_was_planted(times: int) -> None:
    books = make_books(SMALL, period(12), SEED)
    planted = plant(books, SMALL, dict.fromkeys(FAULTS, times), SEED)
    found = set()
    for name, rows in as_arrow(books).items():
        contract = find(name)
        for at, reasons in judge(as_sent(rows), contract, {}).refused.items():
            row = rows.slice(at, 1).to_pylist()[0]
            key = "/".join(str(row[column]) for column in contract.key)
            found |= {(name, key, each.code) for each in reasons}
    assert found == {(each.contract, each.key, each.reason) for each in planted if each.reason}
    assert len({each.key for each in planted if each.fault == "negative_quantity"}) == times


def test_faults_are_named_as_a_person_writes_them() -> None:
    assert parse("") == {}
    assert parse("bad_uscc=2, missing_day") == {"bad_uscc": 2, "missing_day": 1}
    for wrong in ("nothing", "bad_uscc=x", "=1"):
        with pytest.raises(ConfigurationError, match="no fault"):
            parse(wrong)


def test_what_lands_though_it_is_wrong_is_told_too() -> None:
    books, right = (make_books(SMALL, period(12), SEED) for _ in range(2))
    planted = plant(books, SMALL, dict.fromkeys(FAULTS, 1), SEED)
    told = {each.fault: each for each in planted if not each.reason}
    assert set(told) == {
        "duplicate_payment", "missing_number", "wrong_unit", "second_hand", "staged",
    }  # fmt: skip
    payments = books["erp.payment.v1"]
    (again,) = [e for e in payments if e["payment_id"] == told["duplicate_payment"].key]
    twins = [e for e in payments if e["bank_reference"] == again["bank_reference"]]
    assert len(twins) == 2
    gone = {e["delivery_line_id"] for e in right["erp.delivery.v1"]} - {
        e["delivery_line_id"] for e in books["erp.delivery.v1"]
    }
    assert gone == {told["missing_number"].key}
    readings = {f"{e['meter_code']}/{e['read_at']}" for e in books["mes.energy_reading.v1"]}
    assert told["wrong_unit"].key in readings
    plates = {e["equipment_code"]: e["serial_no"] for e in books["mes.equipment.v1"]}
    assert plates[told["second_hand"].key] == SHARED_PLATE
    days = {e["started_at"].date() for e in books["mes.equipment_state.v1"]}
    assert days
    assert max(days) - min(days) < timedelta(days=7)
    assert len(books["mes.equipment_state.v1"]) < len(right["mes.equipment_state.v1"]) / 10

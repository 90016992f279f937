"""Faults are planted by name, and the gate refuses exactly what the truth says."""

import pytest

from contracts.gate import judge
from contracts.loader import find
from county.books import make_books
from county.faults import FAULTS, parse, plant
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

"""Sample rows: valid ones are accepted, bad ones are refused for the one reason they name."""

from collections.abc import Iterator

import pytest

from contracts import sample
from contracts.decode import decode_json
from contracts.gate import judge
from contracts.loader import all_contracts, find, parse
from contracts.model import Contract
from contracts.suite import COVERED, promises
from kernel import canonical
from kernel.errors import ConfigurationError

CONTRACTS = all_contracts().values()


def reasons(contract: Contract, rows: list[sample.Row]) -> Iterator[list[str]]:
    decoded = decode_json(canonical.dumps(rows), contract, lines=False)
    verdict = judge(decoded.rows, contract, decoded.faults)
    for row in range(len(rows)):
        yield [each.code for each in {**verdict.refused, **verdict.warned}.get(row, ())]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.id)
def test_valid_rows_are_accepted_and_no_two_are_the_same(contract: Contract) -> None:
    rows = [sample.valid_row(contract, number) for number in range(400)]
    assert list(reasons(contract, rows)) == [[]] * len(rows)
    assert len({canonical.dumps(row) for row in rows}) == len(rows)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.id)
def test_a_bad_row_breaks_the_promise_that_it_names_and_no_other(contract: Contract) -> None:
    made = list(sample.samples(contract, 100, 200))
    assert list(reasons(contract, [row for row, _ in made])) == [
        [reason] if reason else [] for _, reason in made
    ]
    assert sum(bool(reason) for _, reason in made) == 200


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.id)
def test_every_promise_has_a_row_that_breaks_it(contract: Contract) -> None:
    broken = {reason for case in sample.cases(contract) for reason in case.reasons}
    assert {each.code for each in promises(contract)} <= broken
    assert {code for code in broken if code.rpartition(".")[2] in COVERED} == {
        each.code for each in promises(contract)
    }


def test_each_column_is_broken_once_before_any_is_broken_twice() -> None:
    contract = find("mes.operation_report.v1")
    columns = [each.name for each in contract.properties]
    made = list(sample.samples(contract, 0, len(columns)))
    assert [reason.partition(".")[0] for _, reason in made] == columns
    assert made == list(sample.samples(contract, 0, len(columns)))


def test_a_column_without_an_example_is_named() -> None:
    text = find("erp.payment.v1").text.replace("        examples: ['BR0001']\n", "")
    with pytest.raises(ConfigurationError, match="bank_reference"):
        sample.valid_row(parse(text, "here.yaml"))


def test_what_follows_a_key_moves_with_it() -> None:
    contract = find("mes.equipment_state.v1")
    assert list(reasons(contract, [sample.valid_row(contract, 5000)])) == [[]]


@pytest.mark.parametrize(
    "limit", ["maxLength: 2", "maxLength: 3, minLength: 2", "maxLength: 9, pattern: '^BR[0-9]*$'"]
)
def test_a_key_that_has_no_room_for_a_number_keeps_its_example(limit: str) -> None:
    text = find("erp.payment.v1").text.replace(
        "maxLength: 64", limit.replace(", ", "\n          "), 1
    )
    contract = parse(text.replace("['PAY1']", "['BR']"), "here.yaml")
    rows = [row for row, _ in sample.samples(contract, 40, 0)]
    assert list(reasons(contract, rows)) == [[]] * len(rows)


def test_a_day_of_a_key_stays_within_its_edges() -> None:
    text = find("erp.inventory.v1").text
    last = text.replace("minimum: '2000-01-01'", "maximum: '2024-07-01'")
    assert last != text
    contract = parse(last, "here.yaml")
    rows = [row for row, _ in sample.samples(contract, 400, 0)]
    assert list(reasons(contract, rows)) == [[]] * len(rows)

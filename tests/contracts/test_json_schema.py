"""The vendors' JSON Schema: every valid row passes it, and what it refuses the gate refuses."""

import pytest
from jsonschema import Draft202012Validator

from contracts import sample
from contracts.json_schema import json_schema
from contracts.loader import all_contracts, find
from contracts.model import Contract
from kernel import canonical

CONTRACTS = all_contracts().values()
# What a row's schema can say; edges of numbers sent as text and of days are the gate's alone.
TOLD = {"required", "enum", "length", "pattern", "type"}


def validator(contract: Contract) -> Draft202012Validator:
    schema = json_schema(contract)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.id)
def test_a_row_that_the_gate_accepts_passes_the_schema(contract: Contract) -> None:
    check = validator(contract)
    for number in range(20):
        row = canonical.loads(canonical.dumps(sample.valid_row(contract, number)))
        assert [error.message for error in check.iter_errors(row)] == []


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.id)
def test_the_schema_judges_each_edge_as_the_gate_does_or_leaves_it_to_the_gate(
    contract: Contract,
) -> None:
    check = validator(contract)
    for case in sample.cases(contract):
        row = {**sample.valid_row(contract), case.column: case.value}
        kinds = {reason.rpartition(".")[2] for reason in case.reasons}
        assert check.is_valid(row) or case.reasons, f"{case.column}={case.value!r}"
        # To Python, not to JSON Schema, a $ also stands before a last line feed.
        if kinds & TOLD and not str(case.value).endswith("\n"):
            assert not check.is_valid(row), f"{case.column}={case.value!r} {kinds}"


def test_a_delete_needs_its_key_only() -> None:
    check = validator(find("erp.payment.v1"))
    assert check.is_valid({"payment_id": "PAY1", "_op": "delete"})
    assert not check.is_valid({"_op": "delete"})
    assert not check.is_valid({"payment_id": "PAY1"})


def test_a_number_may_be_sent_as_a_number_and_is_then_held_to_its_edges() -> None:
    check = validator(find("erp.sales_order_line.v1"))
    row = sample.valid_row(find("erp.sales_order_line.v1"))
    assert check.is_valid({**row, "ordered_qty": 1})
    assert not check.is_valid({**row, "ordered_qty": 0})

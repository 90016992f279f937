"""The second opinion: Great Expectations says of every edge what the gate says."""

import warnings

import pytest

from contracts import sample
from contracts.decode import decode_json
from contracts.formats import FORMATS
from contracts.gate import judge
from contracts.loader import find, parse
from contracts.schema import batch_schema
from contracts.suite import COVERED, promises, second_opinion
from contracts.violations import Kind
from kernel import canonical

# Few, for each costs a second; together they hold every kind of promise and every format.
CHOSEN = [
    find(f"{name}.v1")
    for name in (
        "erp.purchase_invoice_line",
        "gov.enterprise",
        "erp.sales_invoice",
        "gov.region_statistic",
        "srm.purchase_order_line",
        "erp.bom",
    )
]


def test_the_chosen_ones_hold_every_kind_that_both_judge_and_every_format_in_use() -> None:
    assert {each.kind for contract in CHOSEN for each in promises(contract)} == COVERED
    used = {column.format for contract in CHOSEN for column in contract.properties}
    assert used >= set(FORMATS)


@pytest.mark.parametrize("contract", CHOSEN, ids=lambda each: each.id)
def test_gate_and_suite_agree_at_every_edge(contract) -> None:
    tried = list(sample.cases(contract))
    rows = [{**sample.valid_row(contract, n), c.column: c.value} for n, c in enumerate(tried)]
    decoded = decode_json(canonical.dumps(rows), contract, lines=False)
    verdict = judge(decoded.rows, contract, decoded.faults)
    found = {**verdict.refused, **verdict.warned}
    with warnings.catch_warnings():
        # Deprecations inside GX's own libraries are not ours to mend.
        warnings.simplefilter("ignore")
        columns = decoded.rows.select(batch_schema(contract).names)
        opinions = second_opinion(columns, contract, None)
    for number, (case, theirs) in enumerate(zip(tried, opinions, strict=True)):
        mine = found.get(number, ())
        # A value of the wrong type is null to the suite: there it can only miss it as required.
        untyped = {f"{each.column}.required" for each in mine if each.kind is Kind.TYPE}
        assert {each.code for each in mine if each.kind in COVERED} == theirs - untyped, case


def test_numbers_of_more_than_28_digits_are_compared_to_the_last() -> None:
    edge, physical = 2**70, "        physicalType: decimal(38,10)\n"
    promised = f"{physical}        logicalTypeOptions:\n          maximum: {edge}\n"
    contract = parse(find("gov.region_statistic.v1").text.replace(physical, promised), "here.yaml")
    values = [f"{edge - 1}.9999999999", f"{edge}", f"{edge}.0000000001"]
    rows = [{**sample.valid_row(contract, n), "value": each} for n, each in enumerate(values)]
    decoded = decode_json(canonical.dumps(rows), contract, lines=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opinions = second_opinion(decoded.rows.select(batch_schema(contract).names), contract, None)
    assert opinions == [set(), set(), {"value.maximum"}]

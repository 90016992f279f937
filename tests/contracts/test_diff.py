"""Differences: what narrows a promise breaks somebody, what widens it does not."""

import pytest

from contracts.diff import changes
from contracts.loader import FOLDER, all_contracts, parse
from contracts.model import Contract

LINE = (FOLDER / "erp" / "sales_order_line.v1.odcs.yaml").read_text("utf-8")
ORDER = (FOLDER / "erp" / "sales_order.v1.odcs.yaml").read_text("utf-8")
LIMITED = LINE.replace("exclusiveMinimum: 0", "exclusiveMinimum: 0\n          maximum: 900")
CODE = "        logicalTypeOptions:\n          maxLength: 64\n        examples: ['CH-100']"
NOTE = """      - name: note
        businessName: 备注
        description: "Remark."
        logicalType: string
        physicalType: string
        classification: internal
        examples: ['x']
"""
UPDATED = "      - name: updated_at\n"
REQUIRED = NOTE.replace("        class", "        required: true\n        class")


def read(text: str) -> Contract:
    return parse(text, "here.yaml")


@pytest.mark.parametrize("contract", all_contracts().values(), ids=lambda each: each.id)
def test_a_contract_does_not_differ_from_itself(contract: Contract) -> None:
    assert changes(contract, read(contract.text)) == []


# The file, what is changed in it, into what, and what is narrower: the column and what of it.
MUST = "        required: true\n        classification: internal\n"
KEY = "        primaryKey: true\n        primaryKeyPosition: 2\n"
LOW, FLAG = "exclusiveMinimum: 0", "logicalType: boolean\n        physicalType: boolean"
TEXT = "logicalType: string\n        physicalType: string"
RULE = """
        quality:
          - id: recent
            metric: invalidValues
            mustBe: 0
            severity: warning
            arguments: {minimum: '2010-01-01'}"""
NEEDED = """        quality:
          - {id: known, metric: nullValues, mustBe: 0, severity: error}
"""
OFTEN_RULE = "slaProperties:\n  - {property: frequency, value: 2, unit: d}\n"
OFTEN = LINE.replace("schema:\n", OFTEN_RULE + "schema:\n", 1)
ROWS = LINE.replace(
    "    properties:\n",
    "    quality:\n      - {metric: rowCount, mustBeGreaterOrEqualTo: 2}\n    properties:\n",
    1,
)
DAY = "logicalType: date\n        physicalType: date"
SOFT = LINE.replace(DAY, DAY + RULE)
NAME = f'the customer."\n        {TEXT}\n        classification: '
NARROWER = {
    "a minimum": (LINE, LOW, "exclusiveMinimum: 1", "ordered_qty", "minimum"),
    "a finer one": (LINE, LOW, "exclusiveMinimum: 0.5", "ordered_qty", "minimum"),
    "a new maximum": (LINE, LOW, LOW + "\n          maximum: 9", "ordered_qty", "maximum"),
    "a maximum": (LIMITED, "maximum: 900", "maximum: 899", "ordered_qty", "maximum"),
    "a first day": (LINE, "'2000-01-01'", "'2000-01-02'", "promised_on", "minimum"),
    "a length": (LINE, CODE, CODE.replace("64", "63"), "product_code", "max_length"),
    "a pattern": (LINE, "'^[A-Z]{3}$'", "'^CN[A-Z]$'", "currency", "pattern"),
    "fewer digits": (LINE, "decimal(18,4)", "decimal(17,4)", "ordered_qty", "type"),
    "fewer places": (LINE, "decimal(18,4)", "decimal(18,3)", "ordered_qty", "type"),
    "places for digits": (LINE, "decimal(18,4)", "decimal(18,5)", "ordered_qty", "type"),
    "another type": (LINE, FLAG, TEXT, "is_closed", "type"),
    "another unit": (LINE, "value: piece", "value: kg", "ordered_qty", "unit"),
    "a value less": (ORDER, "          - {value: draft, label: 草稿}\n", "", "status", "enum"),
    "another name": (LINE, "name: is_closed", "name: is_done", "is_closed", "renamed"),
    "no column": (LINE.replace(UPDATED, NOTE + UPDATED), NOTE, "", "note", "removed"),
    "a new required column": (LINE, UPDATED, REQUIRED + UPDATED, "note", "added"),
    "personal data": (ORDER, NAME + "internal", NAME + "personal", "customer_name", "class"),
    "a reference": (LINE, "sales_order.order_id", "sales_order.order_no", "order_id", "reference"),
    "a warning turned error": (
        SOFT,
        "severity: warning",
        "severity: error",
        "promised_on",
        "minimum",
    ),
    "a new error": (LINE, DAY, DAY + RULE.replace("warning", "error"), "promised_on", "minimum"),
    "oftener": (OFTEN, "value: 2", "value: 1", "", "frequency"),
    "more rows": (ROWS, "OrEqualTo: 2", "OrEqualTo: 3", "", "rows"),
    "another publisher": (LINE, "value: factory", "value: authority", "", "publisher"),
    "another key": (LINE, MUST, MUST + KEY, "", "key"),
}


@pytest.mark.parametrize("case", NARROWER)
def test_what_narrows_a_promise_breaks_and_the_way_back_is_told_too(case: str) -> None:
    text, before, after, column, what = NARROWER[case]
    assert before in text
    old, new = read(text), read(text.replace(before, after, 1))
    assert (column, what, True) in [(c.column, c.what, c.is_breaking) for c in changes(old, new)]
    assert changes(new, old)


OPTIONS = "        logicalTypeOptions:\n          "
WIDER = {
    "a minimum": (LINE, LOW, "exclusiveMinimum: -1"),
    "no minimum": (LINE, OPTIONS + LOW + "\n", ""),
    "a maximum": (LIMITED, "maximum: 900", "maximum: 901"),
    "a first day": (LINE, "'2000-01-01'", "'1999-12-31'"),
    "a length": (LINE, CODE, CODE.replace("64", "65")),
    "no pattern": (LINE, OPTIONS + "pattern: '^[A-Z]{3}$'\n", ""),
    "more digits": (LINE, "decimal(18,4)", "decimal(20,5)"),
    "a value more": (ORDER, "        enum:\n", "        enum:\n          - {value: new}\n"),
    "a new optional column": (LINE, UPDATED, NOTE + UPDATED),
    "an error turned warning": (
        SOFT.replace("warning", "error"),
        "severity: error",
        "severity: warning",
    ),
    "a new warning": (LINE, DAY, DAY + RULE),
    "a warning less": (SOFT, RULE, ""),
    "less often": (OFTEN, "value: 2", "value: 3"),
    "as often as it likes": (OFTEN, OFTEN_RULE, ""),
    "fewer rows": (ROWS, "OrEqualTo: 2", "OrEqualTo: 1"),
    "no longer required": (LINE, MUST + CODE, MUST[23:] + CODE),
}


@pytest.mark.parametrize("case", WIDER)
def test_what_widens_a_promise_breaks_nobody(case: str) -> None:
    text, before, after = WIDER[case]
    assert before in text
    found = changes(read(text), read(text.replace(before, after, 1)))
    assert found
    assert not any(each.is_breaking for each in found), found


def test_titles_and_examples_are_no_change() -> None:
    assert (
        changes(read(LINE), read(LINE.replace("产品编码", "物料编码").replace("CH-100", "A"))) == []
    )


def ruled(arguments: str, severity: str = "error", column: str = "ordered_qty") -> Contract:
    """Give a column a quality rule."""
    rule = f"""        quality:
          - id: r
            metric: invalidValues
            mustBe: 0
            severity: {severity}
            arguments: {{{arguments}}}
"""
    before, name, after = LINE.partition(f"      - name: {column}\n")
    head, examples, rest = after.partition("        examples:")
    return read(before + name + head + rule + examples + rest)


WIDENED = {
    "a rule's edge": (ruled("minimum: 10"), ruled("minimum: 5"), ["minimum"]),
    "a rule's list": (
        ruled("validValues: [A]", column="product_code"),
        ruled("validValues: [A, B]", column="product_code"),
        ["enum"],
    ),
    "an edge said in another zone": (
        ruled("minimum: '2020-01-01T08:00:00+08:00'", column="updated_at"),
        ruled("minimum: '2020-01-01T00:00:00Z'", column="updated_at"),
        [],
    ),
    "an earlier instant in another zone": (
        ruled("minimum: '2020-01-01T00:00:00Z'", column="updated_at"),
        ruled("minimum: '2020-01-01T07:00:00+08:00'", column="updated_at"),
        ["minimum"],
    ),
    "a number said otherwise": (ruled("maximum: 10"), ruled("maximum: 10.0"), []),
    "an edge that another one holds already": (ruled("exclusiveMinimum: 0"), read(LINE), []),
}


@pytest.mark.parametrize("case", WIDENED)
def test_rules_are_compared_by_what_they_promise(case: str) -> None:
    old, new, told = WIDENED[case]
    found = changes(old, new)
    assert [each.what for each in found] == told
    assert not any(each.is_breaking for each in found)
    assert all(each.is_breaking for each in changes(new, old))


def test_an_error_beside_a_warning_of_the_same_breaks() -> None:
    old, new = ruled("minimum: 10", "warning"), ruled("minimum: 10")
    assert [(c.what, c.is_breaking) for c in changes(old, new)] == [
        ("minimum", True),
        ("minimum, a warning", False),
    ]


def test_a_new_column_that_a_rule_requires_breaks() -> None:
    new = NOTE.replace("        class", NEEDED + "        class")
    found = changes(read(LINE), read(LINE.replace(UPDATED, new + UPDATED)))
    assert [(each.after, each.is_breaking) for each in found] == [("required", True)]

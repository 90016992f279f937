"""Lint: every contract is clean by the official schema and by ours; each of our rules bites."""

import pytest

from contracts.lint import findings, official
from contracts.loader import FOLDER, all_contracts, parse
from contracts.model import Contract
from kernel import canonical

KNOWN = all_contracts()
PINNED = "171420cb211c3fba7b0b0ee4939e43112cfac661386159cc4e123667846056c8"
LINE = (FOLDER / "erp" / "sales_order_line.v1.odcs.yaml").read_text("utf-8")


def test_the_official_schema_is_the_pinned_one() -> None:
    assert canonical.digest((FOLDER / "odcs-3.2.0.schema.json").read_bytes()) == PINNED


@pytest.mark.parametrize("contract", KNOWN.values(), ids=lambda each: each.id)
def test_a_contract_is_clean(contract: Contract) -> None:
    assert official(contract) == []
    assert findings(contract, KNOWN) == []


def test_what_the_official_schema_does_not_know_is_told() -> None:
    wrong = parse(LINE.replace("domain: sales", "dominion: sales"), "here.yaml")
    assert "dominion" in official(wrong)[0].problem


FOLLOWS = """        quality:
          - id: x
            metric: invalidValues
            mustBe: 0
            severity: warning
            arguments: {notBefore: ordered_on}
"""
CODE = "        examples: ['CH-100']"
DAY = "        examples: ['2024-06-20']"
NUMBER = "exclusiveMinimum: 0"


def ruled(arguments: str, examples: str) -> tuple[str, str]:
    """Put a quality rule before a column's examples."""
    return examples, FOLLOWS.replace("notBefore: ordered_on", arguments) + examples


# What is changed, into what, and what lint says of which column.
MISTAKES = {
    "another API version": ("apiVersion: v3.2.0", "apiVersion: v3.1.0", "", "apiVersion"),
    "a draft": ("status: active", "status: draft", "", "status"),
    "a tenant": ("status: active", "status: active\ntenant: x", "", "one deployment"),
    "another topic": ("physicalName: nplusx.erp", "physicalName: nplusx.x", "", "physicalName"),
    "a version of two numbers": ("version: 1.0.0", "version: '1.0'", "", "three numbers"),
    "an English title only": ("value: 销售订单行", "value: line", "", "titleZh"),
    "a key out of order": ("primaryKeyPosition: 1", "primaryKeyPosition: 2", "", "1, 2"),
    "no time of change": ("name: updated_at", "name: changed_at", "updated_at", "required"),
    "a name twice": ("name: order_id\n", "name: order_line_id\n", "order_line_id", "twice"),
    "a Chinese name in English": (
        "businessName: 币种", "businessName: money", "currency", "Chinese",
    ),
    "no sentence": ("Code of the product.", "Code", "product_code", "sentence"),
    "another class": (
        "classification: internal", "classification: top", "order_line_id", "classification",
    ),
    "no example": ("        examples: ['CH-100']\n", "", "product_code", "example"),
    "a name of ours": ("name: is_closed", "name: _op", "_op", "begins with a letter"),
    "a day that is no _on": ("name: promised_on", "name: promised", "promised", "named with"),
    "a boolean that is no is_": ("name: is_closed", "name: closed", "closed", "named with"),
    "a text without end": (
        "        logicalTypeOptions:\n          maxLength: 64\n        examples: ['CH-100']",
        "        examples: ['CH-100']", "product_code", "has an end",
    ),
    "a time after none": (
        "        examples: ['2024-06-20']", FOLLOWS + "        examples: ['2024-06-20']",
        "promised_on", "no column `ordered_on`",
    ),
    "a number without unit": (
        "            value: piece", "            value: ''", "ordered_qty", "no unit",
    ),
    "a unit of nothing": ("yuan of `currency`", "yuan of `coin`", "line_net_amount", "`coin`"),
    "a pattern of classes": ("'^[A-Z]{3}$'", "'^\\w{3}$'", "currency", "pattern"),
    "a pattern without end": ("'^[A-Z]{3}$'", "'^[A-Z]{3}'", "currency", "pattern"),
    "a pattern of two alternatives": ("'^[A-Z]{3}$'", "'^CNY|USD$'", "currency", "( )"),
    "a pattern that keeps what it takes": ("'^[A-Z]{3}$'", "'^[A-Z]++$'", "currency", "pattern"),
    "a pattern of too many": ("'^[A-Z]{3}$'", "'^([A-Z]{1,99}){1,99}$'", "currency", "pattern"),
    "a rule's pattern": (*ruled("pattern: '[A-Z]+'", CODE), "product_code", "pattern"),
    "a rule's lengths": (
        *ruled("minLength: 9, maxLength: 6", CODE), "product_code", "above maxLength",
    ),
    "a rule's edges": (
        *ruled("minimum: '2024-01-02', maximum: '2024-01-01'", DAY), "promised_on", "above the max",
    ),
    "a pattern of a day": (*ruled("pattern: '^.*$'", DAY), "promised_on", "a pattern is for texts"),
    "a length of a day": (*ruled("maxLength: 9", DAY), "promised_on", "a length is for texts"),
    "a format of a day": (*ruled("format: period", DAY), "promised_on", "a format is for texts"),
    "a list of days": (
        *ruled("validValues: ['2024-06-20']", DAY), "promised_on", "an enum is for texts",
    ),
    "an edge too fine": (NUMBER, "exclusiveMinimum: 1.0e-30", "ordered_qty", "digits"),
    "an edge that no float is": (NUMBER, "minimum: 9007199254740993", "ordered_qty", "15"),
    "an edge too great": (NUMBER, "maximum: 1.0e+38", "ordered_qty", "digits"),
    "a day as a text": ("physicalType: date", "physicalType: string", "promised_on", "physicalT"),
    "a number of too many digits": ("decimal(18,4)", "decimal(39,4)", "ordered_qty", "physicalT"),
    "a number as a key": (
        "decimal(18,4)\n", "decimal(18,4)\n        primaryKeyPosition: 2\n", "ordered_qty",
        "a key is a",
    ),
    "an amount without currency": ("name: currency", "name: money", "line_net_amount", "beside"),
    "a reference to nothing": (
        "value: erp.sales_order.v1", "value: erp.none.v1", "order_id", "not",
    ),
    "a reference to no column": (
        "erp_sales_order.order_id", "erp_sales_order.none", "order_id", "does not have",
    ),
    "a reference of another type": (
        "erp_sales_order.order_id", "erp_sales_order.ordered_on", "order_id", "type",
    ),
    "an example that breaks a promise": ("['CNY']", "['yuan']", "currency", "currency.pattern"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_each_rule_bites(case: str) -> None:
    before, after, column, told = MISTAKES[case]
    assert before in LINE
    found = findings(parse(LINE.replace(before, after, 1), "here.yaml"), KNOWN)
    assert any(each.column == column and told in each.problem for each in found), found


def test_a_minimum_above_the_maximum_and_an_optional_key_are_told() -> None:
    text = LINE.replace("exclusiveMinimum: 0", "minimum: 3\n          maximum: 2")
    found = findings(parse(text, "here.yaml"), KNOWN)
    assert [each.problem for each in found] == ["the minimum is above the maximum."]
    text = LINE.replace("        required: true\n        primaryKey", "        primaryKey")
    found = findings(parse(text, "here.yaml"), KNOWN)
    assert "a key is required." in [each.problem for each in found]

"""Contracts as files: valid by the official schema, and every mistake named with its place."""

from pathlib import Path

import pytest

from contracts.loader import FOLDER, all_contracts, find, parse
from contracts.schema import arrow_type
from contracts.violations import TITLES, Kind, title_of
from kernel.errors import ConfigurationError

PAYMENT = (FOLDER / "erp" / "payment.v1.odcs.yaml").read_text("utf-8")


NUMBER = "        logicalType: number\n"
LIMIT = "        logicalTypeOptions: {minimum: x}\n"
CLASS = "        logicalType: number\n"
RULE = """        quality:
          - {id: soft, metric: invalidValues, mustBe: 0, severity: warning, arguments: {minimum: 0}}
"""
MISTAKES = {
    "no id": ("id: erp.payment.v1", "identity: x", "`id` must be a text"),
    "a wrong id": ("id: erp.payment.v1", "id: Payment", "not a contract id"),
    "another major than the id's": ("version: 1.0.0", "version: 2.0.0", "major"),
    "an unknown type": ("logicalType: date", "logicalType: day", "not a type used here"),
    "no key": ("primaryKeyPosition: 1", "primaryKeyPosition: x", "has a key"),
    "a day that is none": ("minimum: '2000-01-01'", "minimum: '2000-13-01'", "cannot be read"),
    "an edge that is no number": (NUMBER, NUMBER + LIMIT, "cannot be read"),
    "an edge of a text": ("pattern: '^[A-Z]{3}$'", "minimum: 1", "cannot be read"),
    "a pattern that is none": ("'^[A-Z]{3}$'", "'^[A-Z{3}$'", "cannot be read"),
    "an unknown format": ("value: uscc", "value: usc", "not a format used here"),
    "a column without Chinese title": ("businessName: 币种", "label: 币种", "businessName"),
    "a list for a mapping": ("description:\n  purpose", "description:\n  - purpose", "mapping"),
    "a mapping for a list": ("    properties:\n", "    properties: {a: 1}\n    items:\n", "list"),
    "a severity of its own": (CLASS, RULE.replace("warning", "info") + CLASS, "severity"),
    "a metric of its own": (CLASS, RULE.replace("invalidV", "v") + CLASS, "metric"),
    "a rule about nothing": (CLASS, RULE.replace("minimum: 0", "") + CLASS, "arguments"),
    "an unknown argument": (CLASS, RULE.replace("minimum", "min") + CLASS, "arguments"),
    "an edge of a rule": (CLASS, RULE.replace("minimum: 0", "minimum: x") + CLASS, "quality soft"),
    "a length that is a text": (
        CLASS, RULE.replace("minimum: 0", "minLength: '3'") + CLASS, "length",
    ),
    "an edge that is none": (CLASS, RULE.replace("minimum: 0", "minimum: NaN") + CLASS, "compared"),
    "an edge that a float loses": (
        CLASS, RULE.replace("minimum: 0", "minimum: 99999999999999.9999") + CLASS, "15 digits",
    ),
    "an instant without zone": (
        "        examples: ['2024-06-01T08:00:00Z']",
        "        logicalTypeOptions: {minimum: '2024-01-01T00:00:00'}", "no zone",
    ),
    "values that are no texts": (
        CLASS, RULE.replace("minimum: 0", "validValues: [off]") + CLASS, "list of texts",
    ),
    "values that are no list": (
        CLASS, RULE.replace("minimum: 0", "validValues: A") + CLASS, "list of texts",
    ),
    "a value that YAML takes for another": (
        NUMBER, "        enum: [{value: off, label: 关}]\n" + NUMBER, "must be a text",
    ),
    "a pattern that has changed its meaning": ("'^[A-Z]{3}$'", "'^[[:upper:]]$'", "nested set"),
    "a service level of its own": (
        "schema:\n",
        "slaProperties:\n  - {property: latency, value: 1, unit: h}\nschema:\n",
        "a frequency",
    ),
    "a number of rows that is none": (
        "    properties:\n",
        "    quality:\n      - {metric: rowCount, mustBeGreaterOrEqualTo: x}\n    properties:\n",
        "how many rows",
    ),
    "broken YAML": ("schema:", "schema: [", "not valid YAML"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_named_with_its_place(case: str) -> None:
    before, after, told = MISTAKES[case]
    assert before in PAYMENT
    with pytest.raises(ConfigurationError, match=told) as error:
        parse(PAYMENT.replace(before, after, 1), "here.yaml")
    assert "here.yaml" in str(error.value)


def test_an_unknown_physical_type_is_refused() -> None:
    wrong = parse(PAYMENT.replace("physicalType: date", "physicalType: datum", 1), "here.yaml")
    with pytest.raises(ConfigurationError, match="not a physical type"):
        arrow_type(wrong.column("paid_on"))


def test_a_file_must_stand_where_its_id_says(tmp_path: Path) -> None:
    (tmp_path / "erp").mkdir()
    (tmp_path / "erp" / "receipt.v1.odcs.yaml").write_text(PAYMENT, "utf-8")
    with pytest.raises(ConfigurationError, match="named for"):
        all_contracts(tmp_path)


def test_an_unknown_contract_lists_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"erp\.payment\.v1"):
        find("erp.nothing.v1")


@pytest.mark.parametrize("kind", Kind)
def test_every_reason_is_worded_in_both_languages(kind: Kind) -> None:
    assert TITLES[kind].zh
    assert TITLES[kind].en
    assert title_of(str(kind)) == TITLES[kind]
    if "." not in kind:
        assert title_of(f"paid_on.{kind}").zh.startswith("paid_on：")

"""Contracts drawn at random: each kind of column, and every promise of it that lint lets pass."""

import copy
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product

import pytest
import yaml
from hypothesis import strategies as st
from typing_extensions import override

from contracts.lint import findings, official
from contracts.loader import all_contracts, find, parse
from contracts.model import Contract
from kernel.errors import ConfigurationError
from kernel.ids import uscc_check_character

Node = dict[str, object]
KNOWN = all_contracts()
USCC = "91330523MA2B0C7K3" + uscc_check_character("91330523MA2B0C7K3")
TEXT = ("string", "string")
# A column of each type, and examples of it.
COLUMNS: dict[str, tuple[str, str, list[object]]] = {
    "code": (*TEXT, ["A-1", "字"]),
    "uscc": (*TEXT, [USCC]),
    "n": ("integer", "int64", [5]),
    "qty": ("number", "decimal(18,4)", ["1.5000"]),
    "wide": ("number", "decimal(38,10)", ["9999999999999999999999999999.9999999999"]),
    "is_open": ("boolean", "boolean", [True]),
    "begun_on": ("date", "date", ["2024-03-05"]),
    "ended_on": ("date", "date", ["2024-03-06"]),
    "begun_at": ("timestamp", "timestamp(us, UTC)", ["2024-03-05T00:00:00Z"]),
    "ended_at": ("timestamp", "timestamp(us, UTC)", ["2024-03-05T04:00:00.5Z"]),
}
NUMBERS: tuple[object, ...] = (
    0, -1, 5, 6, 1.5, 0.00005, 5e-05, "1.5", "1.50001", "9" * 28, "1e-20", "1e-400", "1e400",
    "1e30", "9999999999999999999999999999.99999999995", 99999999999999.9999, 2**63, -(2**63),
    2**200, "NaN", "sNaN", "Infinity", "0x10", "1_0", " 5", "\uff15", "", True, [], {},
)  # fmt: skip
TIMES: tuple[object, ...] = (
    "2024-03-05", "2024-W10-2", "20240305", "0001-01-01", "9999-12-31", "2024-3-5",
    "2024-03-05T00:00:00Z", "2024-03-05T08:00:00+08:00", "2024-03-05T08:00:00.5+08:00",
    "2024-03-05T00:00:00", "2024-03-05 12:00", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00", "2024-03-05T00:00:00.1234567Z",
)  # fmt: skip
EDGES = NUMBERS + TIMES
OF_TYPE: dict[str, tuple[object, ...]] = {
    "string": (), "boolean": (), "date": TIMES, "timestamp": TIMES,
}  # fmt: skip
LENGTHS = (0, 1, 2, 3, 18, 5_000_000_000, 2**70, -1, "3", 2.0, True)
PATTERNS = (
    "^.*$", "^A-[0-9]+$|^.$", "^A|.*$", "^(A.*|.)$", "^A-1|.$", "[A-Z]", "^.+", ".+$", "^[^a]*$",
    "^.{1,3}$", "^.{,3}$", "^.{1,1001}$", "^(.{1,100}){1,100}$", "^.++$", "^.*+$", "^.+?$",
    "^[[:alpha:]]*.*$", "^[]A-].*$|^.*$", "^(?i)a-1$", "^(?:.*)$", "^(?s:.*)$", "^\\w+$",
    "^\\d*.*$", "^.*\\Z$", "^.*\\$", "^[A字-].*$", "^(A-1|[^A-])$", "^[\\[\\]A-].*$", "^.[\\-]?.?$",
    "", "^$", "$", "^", "^(.*$", "^.*$\n", "^.[$]?.*$", "^.*(^|.)$", "^()*.*$", "^(.?)*$",
    "^[^\\n]*$", "^.[\\-]?.?$", 5, [],
)  # fmt: skip
VALUES = (
    ["A-1", "字"], ["A-1", "字", "B"], ["A-1"], ["5", "1.5000", USCC], [5], [True],
    ["2024-03-05"], [], "A-1", [None], ["A-1", 5, "字"], ["True"], ["A-1", "字", "字"], {},
)  # fmt: skip
OPTIONS: dict[str, tuple[object, ...]] = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), EDGES),
    **dict.fromkeys(("minLength", "maxLength"), LENGTHS),
    "pattern": PATTERNS,
}
ARGUMENTS: dict[str, tuple[object, ...]] = {
    **OPTIONS,
    "validValues": VALUES,
    "format": ("uscc", "period", "einvoice", "usc"),
    "notBefore": (*COLUMNS, "nothing"),
}


def plain_column(name: str, position: int | None = None) -> Node:
    """Say of a column no more than lint asks."""
    kind, physical, examples = COLUMNS.get(name, COLUMNS["begun_at"])
    column: Node = {
        "name": name,
        "businessName": "列",
        "description": "A column.",
        "logicalType": kind,
        "physicalType": physical,
        "classification": "internal",
        "examples": list(examples),
    }
    if kind == "string":
        column["logicalTypeOptions"] = {"maxLength": 64}
    if kind == "number":
        column["customProperties"] = [{"property": "unit", "value": "kg"}]
    if position or name == "updated_at":
        column["required"] = True
    if position:
        column |= {"primaryKey": True, "primaryKeyPosition": position}
    return column


class _Plain(yaml.CSafeDumper):
    """Write what occurs twice twice: our reader refuses aliases."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


@cache
def _root() -> Node:
    root: Node = yaml.safe_load(find("erp.payment.v1").text)
    return root


def text_of(columns: list[Node]) -> str:
    """Write an ODCS file that promises so much of these columns."""
    root = copy.copy(_root())
    (table,) = root["schema"]
    root["schema"] = [{**table, "properties": columns}]
    return str(yaml.dump(root, Dumper=_Plain, allow_unicode=True))


def passed(text: str) -> Contract | None:
    """Read a contract if lint lets it pass; it refuses the others in words."""
    try:
        contract = parse(text, "drawn.yaml")
    except ConfigurationError as refused:
        return None if refused.where and refused.cure else pytest.fail(str(refused))
    return None if official(contract) or findings(contract, KNOWN) else contract


def _tried(draw: st.DrawFn) -> Iterator[Callable[[Node], object]]:
    """Draw what may be promised of a column besides."""
    options = st.sampled_from(sorted(OPTIONS))
    for name in draw(st.lists(options, max_size=2)):
        value = draw(st.sampled_from(OPTIONS[name]))
        yield lambda node, name=name, value=value: node.setdefault("logicalTypeOptions", {}).update(
            {name: value}
        )
    for _ in range(draw(st.integers(0, 2))):
        names = draw(st.lists(st.sampled_from(sorted(ARGUMENTS)), min_size=1, max_size=2))
        rule = {
            "id": "r",
            "metric": "invalidValues",
            "mustBe": 0,
            "severity": draw(st.sampled_from(("error", "warning"))),
            "arguments": {name: draw(st.sampled_from(ARGUMENTS[name])) for name in names},
        }
        if draw(st.integers(0, 9)) == 0:
            rule |= {"metric": "nullValues"}
            del rule["arguments"]
        yield lambda node, rule=rule: node.setdefault("quality", []).append(rule)
    if draw(st.integers(0, 5)) == 0:
        values = draw(st.sampled_from(VALUES))
        told = [{"value": each, "label": "名"} for each in values]
        yield lambda node: node.update(enum=told)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Draw a contract that lint lets pass: what it refuses of a column is left out."""
    keyable = [name for name, (kind, *_) in COLUMNS.items() if kind not in {"number", "boolean"}]
    keys = draw(st.permutations(keyable))[: draw(st.integers(1, 2))]
    columns = [
        plain_column(name, 1 + keys.index(name) if name in keys else None) for name in COLUMNS
    ]
    columns.append(plain_column("updated_at"))
    found = passed(text_of(columns))
    assert found
    for at in draw(st.lists(st.sampled_from(range(len(COLUMNS))), unique=True, min_size=3)):
        for change in _tried(draw):
            altered = copy.deepcopy(columns)
            change(altered[at])
            contract = passed(text_of(altered))
            if contract:
                columns, found = altered, contract
    return found


@cache
def every() -> Contract:
    """Give each promise that lint lets pass a column of its own."""
    base = [plain_column(name) for name in (*COLUMNS, "updated_at")]
    key = plain_column("begun_at", 1) | {"name": "read_at"}
    columns = [key, *base]
    for name, argument, value in _each():
        rule: Node = {"id": "r", "metric": "invalidValues", "mustBe": 0, "severity": "warning"}
        rule["arguments"] = {argument: value}
        column = {**plain_column(name), "name": f"c{len(columns)}_{name}", "quality": [rule]}
        beside = [each for each in base if each["name"] in {"updated_at", str(value)}]
        if passed(text_of([key, column, *beside])):
            columns.append(column)
    contract = passed(text_of(columns))
    assert contract
    return contract


def _each() -> Iterator[tuple[str, str, object]]:
    """List what may be promised of each column; of what fits no column of its type, one each."""
    for name, (argument, values) in product(COLUMNS, ARGUMENTS.items()):
        kind = COLUMNS[name][0]
        told = values
        if argument in {"validValues", "pattern", "minLength", "maxLength"} and kind != "string":
            told = values[:1]
        elif values == EDGES:
            told = (*values[:1], *OF_TYPE.get(kind, NUMBERS))
        yield from ((name, argument, value) for value in told)

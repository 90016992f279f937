"""A change that breaks nobody refuses no row that was right, whatever the contract and the row."""

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import product

import pyarrow as pa
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from contracts import sample
from contracts.decode import decode_json
from contracts.diff import changes
from contracts.gate import judge
from contracts.model import Contract, EnumValue, Limits, LogicalType, Property, Rule, Severity
from kernel import canonical
from tests.contracts import drawn

# Few, and close to each other: so that one version's edge often stands at the other's, or inside.
NUMBERS = ("0", "1", "1.0", "1.5", "2")
TIMES = ("2024-03-05T00:00:00Z", "2024-03-05T08:00:00+08:00", "2024-03-05T00:00:01Z")
DAYS = ("2024-03-05", "20240305", "2024-03-06")
TEXTS = ("", "A", "AB", "2024", "2024-03", "字")
VALUES: dict[str, tuple[str, Sequence[object]]] = {
    "code": ("string", TEXTS),
    "n": ("int64", (0, 1, 2)),
    "qty": ("decimal(18,4)", (*NUMBERS, "1.00001", "99999999999999.9999")),
    "begun_on": ("date", (*DAYS, "2024/3/5", "2024-03-04")),
    "begun_at": ("timestamp(us, UTC)", (*TIMES, "2024-03-05T00:00:00.5Z")),
    "ended_at": ("timestamp(us, UTC)", (*TIMES, "2024-03-05T00:00:00.5Z")),
}
EDGES = {
    LogicalType.INTEGER: ("0", "1", "2"),
    LogicalType.NUMBER: NUMBERS,
    LogicalType.DATE: DAYS,
    LogicalType.TIMESTAMP: TIMES,
}
BASE = drawn.passed(
    drawn.text_of(
        [
            drawn.plain_column("read_at", 1),
            *map(drawn.plain_column, VALUES),
            drawn.plain_column("updated_at"),
        ]
    )
)


@st.composite
def _rule(draw: st.DrawFn, column: Property, severity: Severity) -> Rule:
    """Draw promises of a column: few of each kind, most of them none."""

    def maybe(values: Sequence[str]) -> str | None:
        return draw(st.sampled_from((None, None, *values)))

    required = draw(st.integers(0, 3)) == 0
    if column.type is LogicalType.STRING:
        length = st.sampled_from((None, None, 0, 1, 2, 4))
        limits = Limits(
            min_length=draw(length),
            max_length=draw(length),
            pattern=maybe(("^.*$", "^[A-Z]*$", "^[0-9-]*$")),
        )
        chosen = draw(st.sampled_from(((), (), TEXTS[:3], TEXTS[1:4], TEXTS[2:])))
        values = tuple(EnumValue(each, each) for each in chosen)
        return Rule(severity, required, limits, values, maybe(("period", "uscc")))
    edges = [maybe(EDGES[column.type]) for _ in range(4)]
    first = maybe(("begun_at",)) if column.name == "ended_at" else None
    return Rule(severity, required, Limits(*edges), not_before=first)


def _changed(draw: st.DrawFn, rule: Rule, column: Property) -> Rule:
    """Draw one promise of a rule anew."""
    other, severity = draw(_rule(column, rule.severity)), draw(st.sampled_from(Severity))
    of_texts = {"min_length", "max_length", "pattern"}
    names = {each.name for each in fields(Limits)}
    is_text = column.type is LogicalType.STRING
    limits = draw(st.sampled_from(sorted(names & of_texts if is_text else names - of_texts)))
    return draw(
        st.sampled_from(
            (
                replace(
                    rule, limits=replace(rule.limits, **{limits: getattr(other.limits, limits)})
                ),
                replace(rule, severity=severity),
                replace(rule, required=other.required),
                replace(rule, enum=other.enum),
                replace(rule, format=other.format),
                replace(rule, not_before=other.not_before),
            )
        )
    )


def _with(contract: Contract, column: Property, rules: Sequence[Rule], physical: str) -> Contract:
    own, *quality = rules
    changed = replace(
        column, required=own.required, limits=own.limits, enum=own.enum, format=own.format,
        quality=tuple(quality), physical=physical,
    )  # fmt: skip
    others = [changed if each.name == column.name else each for each in contract.properties]
    return replace(contract, properties=tuple(others))


@st.composite
def _versions(draw: st.DrawFn) -> tuple[str, Contract, Contract]:
    """Draw two versions whose promises of one column are alike but for one or two."""
    # Most can be promised of a text.
    column = BASE.column(draw(st.sampled_from((*VALUES, *["code"] * len(VALUES)))))
    severities = st.lists(st.sampled_from(Severity), max_size=2)
    rules = [draw(_rule(column, each)) for each in (Severity.ERROR, *draw(severities))]
    sizes = ("decimal(18,4)", "decimal(18,4)", "decimal(20,5)", "decimal(17,4)", "decimal(18,3)")
    before, after = column.physical, column.physical
    if column.name == "qty":
        before, after = draw(st.sampled_from(sizes)), draw(st.sampled_from(sizes))
    anew = list(rules)
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(anew) - 1))
        anew[at] = _changed(draw, anew[at], column)
    if draw(st.booleans()):
        anew = [anew[0], *reversed(anew[1:]), *anew[1:]]
    return column.name, _with(BASE, column, rules, before), _with(BASE, column, anew, after)


def _refused(contract: Contract, name: str) -> dict[int, set[str]]:
    """Judge a row with each value of a column, alone: a repeat is judged beside others."""
    firsts = TIMES if name == "ended_at" else (None,)
    rows = [
        {**sample.valid_row(BASE, number), "begun_at": first, name: value}
        for number, (value, first) in enumerate(product((None, *VALUES[name][1]), firsts))
    ]
    decoded = decode_json(canonical.dumps(rows), contract, lines=False)
    alone = pa.array(range(len(rows)), pa.int32())
    refused = judge(decoded.rows, contract, decoded.faults, alone).refused
    return {row: {each.code for each in why} for row, why in refused.items()}


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(_versions())
def test_what_breaks_nobody_refuses_no_row_that_was_accepted(
    drawn: tuple[str, Contract, Contract],
) -> None:
    name, old, new = drawn
    found = changes(old, new)
    assume(not any(each.is_breaking for each in found))
    before, after = _refused(old, name), _refused(new, name)
    assert after.keys() <= before.keys(), found
    if not found:
        assert before == after

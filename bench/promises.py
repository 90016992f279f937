"""The promises of a contract as Spark's SQL, so that it can be asked to check the same."""

from collections.abc import Iterator

from contracts.model import Contract, LogicalType, Property, Rule

_TYPES = {"int64": "bigint", "timestamp(us, UTC)": "timestamp"}


def columns(contract: Contract) -> list[tuple[str, str]]:
    """Name each column with its type."""
    return [(each.name, _TYPES.get(each.physical, each.physical)) for each in contract.properties]


def promises(contract: Contract) -> list[tuple[str, str]]:
    """Name each promise with an expression that is true where it is broken.

    Left out is the key's uniqueness, which would cost Spark a shuffle.
    """
    return [
        (f"{column.name}.{kind}", sql)
        for column in contract.properties
        for rule in column.rules
        for kind, sql in (*_values(column, rule), *_spelling(column, rule))
    ]


def _values(column: Property, rule: Rule) -> Iterator[tuple[str, str]]:
    name, limits = column.name, rule.limits
    if rule.required:
        yield "required", f"{name} is null"
    if rule.enum:
        listed = ", ".join(f"'{each.value}'" for each in rule.enum)
        yield "enum", f"{name} not in ({listed})"
    for kind, edge, sign in (
        ("minimum", limits.minimum, "<"),
        ("minimum", limits.exclusive_minimum, "<="),
        ("maximum", limits.maximum, ">"),
        ("maximum", limits.exclusive_maximum, ">="),
    ):
        if edge is not None:
            yield kind, f"{name} {sign} {_literal(column, edge)}"
    if rule.not_before is not None:
        yield "order", f"{name} < {rule.not_before}"


def _spelling(column: Property, rule: Rule) -> Iterator[tuple[str, str]]:
    name, limits = column.name, rule.limits
    if limits.min_length is not None:
        yield "length", f"char_length({name}) < {limits.min_length}"
    if limits.max_length is not None:
        yield "length", f"char_length({name}) > {limits.max_length}"
    if limits.pattern is not None:
        yield "pattern", f"not ({name} rlike '{limits.pattern}')"
    if rule.format is not None:
        raise ValueError(f"{name}: the format {rule.format} is not spelt in SQL")


def _literal(column: Property, edge: str) -> str:
    if column.type in {LogicalType.DATE, LogicalType.TIMESTAMP}:
        return f"{column.type.value} '{edge}'"
    return edge

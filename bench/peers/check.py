"""The promises as a user of these tools would write them: a function of one row."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

Row = Mapping[str, object]


def checker(rules: Sequence[Mapping[str, object]]) -> Callable[[Row], list[str]]:
    """Give the function that names every promise that a row breaks."""
    compiled = [(str(each["column"]), _compiled(each)) for each in rules]

    def broken(row: Row) -> list[str]:
        reasons = []
        for column, checks in compiled:
            value = row.get(column)
            reasons += [f"{column}.{kind}" for kind, breaks in checks if breaks(value)]
        return reasons

    return broken


def _compiled(rule: Mapping[str, object]) -> list[tuple[str, Callable[[object], bool]]]:
    checks: list[tuple[str, Callable[[object], bool]]] = []
    if rule.get("required"):
        checks.append(("required", lambda value: value is None))
    if rule.get("enum"):
        allowed = {str(each) for each in rule["enum"]}  # type: ignore[attr-defined]
        checks.append(("enum", lambda value: value is not None and value not in allowed))
    if rule.get("minimum") is not None:
        least = Decimal(str(rule["minimum"]))
        checks.append(("minimum", lambda value: value is not None and Decimal(str(value)) < least))
    if rule.get("maximum") is not None:
        most = Decimal(str(rule["maximum"]))
        checks.append(("maximum", lambda value: value is not None and Decimal(str(value)) > most))
    if rule.get("max_length") is not None:
        longest = int(str(rule["max_length"]))
        checks.append(("length", lambda value: value is not None and len(str(value)) > longest))
    return checks

"""Sample rows of a contract: valid ones, and ones that break one promise each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal

from contracts.model import Contract, Limits, LogicalType, Property, Rule
from contracts.violations import Kind
from kernel.errors import ConfigurationError
from kernel.ids import uscc_check_character

Row = dict[str, object]
_DAYS_OF_TEN_YEARS = 3650
# Python would round to 28 digits.
_EXACT = Context(prec=100)


@dataclass(frozen=True, slots=True)
class Case:
    """A value of a column at, just within or just beyond an edge, and the reasons it gives."""

    column: str
    value: object
    reasons: tuple[str, ...] = ()


def valid_row(contract: Contract, number: int = 0) -> Row:
    """Give a row that keeps every promise; each number gives another key."""
    row = {each.name: _value(each, number) for each in contract.properties}
    for column in contract.properties:
        for first in (rule.not_before for rule in column.rules if rule.not_before):
            # The key moves with the number, and what follows it with the key.
            row[column.name] = max(row[column.name], row[first], key=str)
    return row


def samples(contract: Contract, rows: int, bad: int) -> Iterator[tuple[Row, str]]:
    """Give rows for one batch: valid ones, then ones that break exactly the promise beside them."""
    for number in range(rows):
        yield valid_row(contract, number), ""
    turns = _in_turns(contract)
    for turn in range(bad):
        case = turns[turn % len(turns)]
        yield {**valid_row(contract, rows + turn), case.column: case.value}, case.reasons[0]


def _in_turns(contract: Contract) -> Sequence[Case]:
    """Order what breaks one promise so that each column has its first turn before any a second."""
    turn: Counter[str] = Counter()
    placed: list[tuple[int, Case]] = []
    for case in cases(contract):
        if len(case.reasons) == 1:
            placed.append((turn[case.column], case))
            turn[case.column] += 1
    return [case for _, case in sorted(placed, key=lambda each: each[0])]


def cases(contract: Contract) -> Iterator[Case]:
    """List every promise of every column: kept at its edge, and broken just beyond it."""
    for column in contract.properties:
        for case in _of_column(contract, column):
            yield _with_order(contract, column, case)


def _with_order(contract: Contract, column: Property, case: Case) -> Case:
    """Add that a time is also before the one that it follows."""
    code = f"{column.name}.{Kind.ORDER}"
    days = [contract.column(rule.not_before).examples for rule in column.rules if rule.not_before]
    is_time = isinstance(case.value, str) and case.value[:1].isdigit()
    if code in case.reasons or not is_time or not days:
        return case
    is_before = str(case.value)[:10] < min(min(each) for each in days)[:10]
    return Case(column.name, case.value, (*case.reasons, code)) if is_before else case


def _of_column(contract: Contract, column: Property) -> Iterator[Case]:
    needed = any(rule.required for rule in column.rules)
    yield Case(column.name, None, _code(column, Kind.REQUIRED) if needed else ())
    yield Case(column.name, _of_another_type(column), _code(column, Kind.TYPE))
    for rule in column.rules:
        yield from _choices(column, rule)
        yield from _edges(column, rule.limits)
        yield from _lengths(column, rule)
        yield from _spellings(column, rule)
        if rule.not_before is not None:
            yield from _order(column, contract.column(rule.not_before))


def _code(column: Property, *kinds: Kind) -> tuple[str, ...]:
    return tuple(f"{column.name}.{kind}" for kind in kinds)


def _value(column: Property, number: int) -> object:
    if not column.examples:
        raise ConfigurationError(
            "There is no example to make a row of.",
            where=f"column {column.name}",
            cure="give one; `nplusx contract lint` lists all that a contract lacks.",
        )
    example = column.examples[number % len(column.examples)]
    if column.type is LogicalType.BOOLEAN:
        return (example == "True") != (number % 2 == 1)
    if column.enum:
        return column.enum[number % len(column.enum)].value if number else example
    if number and (column.key_position is not None or column.name == "updated_at"):
        return _other(column, example, number)
    return int(example) if column.type is LogicalType.INTEGER else example


def _other(column: Property, example: str, number: int) -> object:
    """Give the value of a key that belongs to a number, or the example where none is left."""
    if column.type is LogicalType.INTEGER:
        low, high = int(column.limits.minimum or 0), int(column.limits.maximum or 10**9)
        value = low + number % (high - low + 1)
        return value if _is_inside(column, str(value)) else int(example)
    if column.type is LogicalType.STRING:
        return _other_text(column, example, number)
    step = timedelta(days=number % _DAYS_OF_TEN_YEARS)
    moved = (
        (date.fromisoformat(example) + step).isoformat()
        if column.type is LogicalType.DATE
        else (datetime.fromisoformat(example) + timedelta(seconds=number)).isoformat()
    )
    return moved if _is_inside(column, moved) else example


def _is_inside(column: Property, text: str) -> bool:
    """Tell whether a value keeps the edges of its column."""
    place, limits = column.place(text), [rule.limits for rule in column.rules]
    lowest = [column.place(each.minimum) for each in limits if each.minimum is not None]
    highest = [column.place(each.maximum) for each in limits if each.maximum is not None]
    above = [column.place(e) for e in (each.exclusive_minimum for each in limits) if e is not None]
    below = [column.place(e) for e in (each.exclusive_maximum for each in limits) if e is not None]
    return (
        all(place >= each for each in lowest)
        and all(place <= each for each in highest)
        and all(place > each for each in above)
        and all(place < each for each in below)
    )


def _other_text(column: Property, example: str, number: int) -> str:
    if column.format == "uscc" and len(column.rules) == 1:
        body = f"{example[:8]}{number % 10**9:09d}"
        return body + uscc_check_character(body)
    told = f"{example}-{number}"
    # Few spellings fit a pattern: such a key keeps its example, and `updated_at` tells rows apart.
    is_bound = any(
        rule.limits.pattern is not None
        or rule.format
        or rule.enum
        or len(told) > (rule.limits.max_length or len(told))
        for rule in column.rules
    )
    return example if is_bound else told


def _of_another_type(column: Property) -> object:
    return 17 if column.type is LogicalType.STRING else "neither number nor time"


def _choices(column: Property, rule: Rule) -> Iterator[Case]:
    for each in rule.enum:
        yield Case(column.name, each.value)
    if rule.enum:
        yield Case(column.name, "nothing like it", _code(column, Kind.ENUM))


def _edges(column: Property, limits: Limits) -> Iterator[Case]:
    for text, inward, kind in (
        (limits.minimum, 1, Kind.MINIMUM),
        (limits.maximum, -1, Kind.MAXIMUM),
    ):
        if text is not None:
            yield Case(column.name, _moved(column, text, 0))
            yield Case(column.name, _moved(column, text, inward))
            yield Case(column.name, _moved(column, text, -inward), _code(column, kind))
    for text, inward, kind in (
        (limits.exclusive_minimum, 1, Kind.MINIMUM),
        (limits.exclusive_maximum, -1, Kind.MAXIMUM),
    ):
        if text is not None:
            yield Case(column.name, _moved(column, text, 0), _code(column, kind))
            yield Case(column.name, _moved(column, text, inward))
            yield Case(column.name, _moved(column, text, -inward), _code(column, kind))


def _moved(column: Property, text: str, steps: int) -> str:
    """Move an edge by the smallest steps that the column can hold."""
    if column.type is LogicalType.DATE:
        return (date.fromisoformat(text) + timedelta(days=steps)).isoformat()
    if column.type is LogicalType.TIMESTAMP:
        return (datetime.fromisoformat(text) + timedelta(microseconds=steps)).isoformat()
    step = Decimal(steps).scaleb(-scale_of(column))
    return format(_EXACT.add(Decimal(text), step), "f")


def scale_of(column: Property) -> int:
    """Give the decimal places of a column."""
    return int(column.physical.rstrip(")").split(",")[1]) if "decimal" in column.physical else 0


def _lengths(column: Property, rule: Rule) -> Iterator[Case]:
    limits = rule.limits
    # A text of another length also breaks a format, never the other way round.
    kinds = (Kind.LENGTH, Kind.FORMAT) if rule.format else (Kind.LENGTH,)
    broken = _code(column, *kinds)
    if limits.max_length is not None:
        if not rule.format:
            yield Case(column.name, "字" * limits.max_length)
            yield Case(column.name, "字" * (limits.max_length - 1))
        yield Case(column.name, "字" * (limits.max_length + 1), broken)
    if limits.min_length:
        yield Case(column.name, "字" * (limits.min_length - 1), broken)


def _order(column: Property, first: Property) -> Iterator[Case]:
    """Give a time just before that of the column that comes first."""
    before = _moved(column, min(first.examples), -1)
    yield Case(column.name, before, _code(column, Kind.ORDER))


def _spellings(column: Property, rule: Rule) -> Iterator[Case]:
    """Spell the example wrongly; a last line feed is what careless patterns let pass."""
    limits = rule.limits
    if limits.pattern is None and rule.format is None:
        return
    kind = Kind.PATTERN if limits.pattern else Kind.FORMAT
    for example in column.examples:
        yield Case(column.name, example)
        if limits.max_length is None:
            yield Case(column.name, example + "\n", _code(column, kind))
            yield Case(column.name, example[:-1] + "\uff11", _code(column, kind))
    if rule.format == "uscc":
        right = column.examples[0]
        wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
        yield Case(column.name, wrong, _code(column, Kind.FORMAT))

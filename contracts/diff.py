"""What changed between two versions of a contract, and which changes break somebody."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

import pyarrow as pa
from typing_extensions import override

from contracts.model import Contract, Limits, Property, Severity
from contracts.schema import arrow_type

# Values of these classes leave the factory in another form.
_HIDDEN = frozenset({"personal", "secret"})


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: of which column, or of the whole, and whether it breaks somebody."""

    column: str
    what: str
    before: str
    after: str
    is_breaking: bool


def changes(old: Contract, new: Contract) -> list[Change]:
    """List every difference; widening a promise breaks nobody, narrowing it does."""
    found = [*_whole(old, new)]
    names = {each.name for each in new.properties}
    for before in old.properties:
        if before.name not in names:
            now = _renamed(before, old, new)
            what = "renamed" if now else "removed"
            found.append(Change(before.name, what, before.name, now, is_breaking=True))
        else:
            found += _column(before, new.column(before.name))
    known = {each.name for each in old.properties}
    for after in new.properties:
        if after.name not in known:
            needed = _promised(after, Severity.ERROR)["null"] is not None
            kind = "required" if needed else "optional"
            found.append(Change(after.name, "added", "", kind, needed))
    return found


def _whole(old: Contract, new: Contract) -> Iterator[Change]:
    if old.key != new.key:
        yield Change("", "key", ", ".join(old.key), ", ".join(new.key), is_breaking=True)
    if old.publisher != new.publisher:
        yield Change("", "publisher", old.publisher, new.publisher, is_breaking=True)
    often, oftener = old.frequency, new.frequency
    if often != oftener:
        narrower = oftener is not None and (often is None or oftener < often)
        yield Change("", "frequency", _said(often), _said(oftener), narrower)
    few, more = old.least_rows, new.least_rows
    if few != more:
        yield Change("", "rows", _said(few), _said(more), (more or 0) > (few or 0))


def _renamed(before: Property, old: Contract, new: Contract) -> str:
    """Guess a new name: the only added column that is otherwise the same."""
    known = {each.name for each in old.properties}
    alike = [
        each.name
        for each in new.properties
        if each.name not in known
        and (each.title.zh, each.physical) == (before.title.zh, before.physical)
    ]
    return alike[0] if len(alike) == 1 else ""


def _column(old: Property, new: Property) -> Iterator[Change]:
    if old.physical != new.physical:
        narrower = not _holds(arrow_type(new), arrow_type(old))
        yield Change(old.name, "type", old.physical, new.physical, narrower)
    if old.unit != new.unit:
        yield Change(old.name, "unit", old.unit or "", new.unit or "", is_breaking=True)
    if old.classification != new.classification:
        classes = {old.classification, new.classification}
        yield Change(
            old.name, "class", old.classification, new.classification, bool(classes & _HIDDEN)
        )
    yield from _reference(old, new)
    if old.type is new.type:
        for severity in Severity:
            yield from _promises(old, new, severity)


def _holds(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Tell whether every value of one type is one of the other, unchanged."""
    if pa.types.is_decimal(wide) and pa.types.is_decimal(narrow):
        whole = wide.precision - wide.scale >= narrow.precision - narrow.scale
        return bool(whole and wide.scale >= narrow.scale)
    return bool(wide == narrow)


def _reference(old: Property, new: Property) -> Iterator[Change]:
    before, after = old.reference, new.reference
    if before != after:
        yield Change(old.name, "reference", _said(before), _said(after), after is not None)


def _promises(old: Property, new: Property, severity: Severity) -> Iterator[Change]:
    """Compare what all rules of a severity promise together; only an error refuses a row."""
    is_error = severity is Severity.ERROR
    before, after = (_promised(each, severity) for each in (old, new))
    for what, said in before.items():
        says = after[what]
        if said != says:
            named = what if is_error else f"{what}, a warning"
            narrower = is_error and says is not None and not says.is_kept_by(said)
            yield Change(old.name, named, _said(said), _said(says), narrower)


class _Promise(Protocol):
    """What rules promise of a column in one respect; where they promise nothing there is none."""

    def is_kept_by(self, other: object) -> bool:
        """Tell whether every value that keeps another promise, of the same respect, keeps this."""


@dataclass(frozen=True, slots=True)
class _Edge:
    """Where values end: a greater height leaves fewer; the text is how it was said."""

    height: tuple[Decimal, bool]
    text: str = field(compare=False)

    def is_kept_by(self, other: object) -> bool:
        return isinstance(other, _Edge) and self.height <= other.height

    @override
    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _All:
    """Patterns, formats and times that a value obeys all of."""

    of: frozenset[str]

    def is_kept_by(self, other: object) -> bool:
        return isinstance(other, _All) and self.of <= other.of

    @override
    def __str__(self) -> str:
        return ", ".join(sorted(self.of))


@dataclass(frozen=True, slots=True)
class _OneOf:
    """Values of which it is one."""

    of: frozenset[str]

    def is_kept_by(self, other: object) -> bool:
        return isinstance(other, _OneOf) and other.of <= self.of

    @override
    def __str__(self) -> str:
        return ", ".join(sorted(self.of))


def _promised(column: Property, severity: Severity) -> Mapping[str, _Promise | None]:
    """Say what a column's rules of a severity promise together, in each respect."""
    rules = [each for each in column.rules if each.severity is severity]
    limits = [each.limits for each in rules]
    lists = [frozenset(value.value for value in each.enum) for each in rules if each.enum]
    return {
        "null": _all(["required"] if any(each.required for each in rules) else []),
        "minimum": _innermost(_lower(column, limits)),
        "maximum": _innermost(_upper(column, limits)),
        "min_length": _innermost(
            _Edge((Decimal(each), False), str(each))
            for each in (limit.min_length for limit in limits)
            if each
        ),
        "max_length": _innermost(
            _Edge((Decimal(-each), False), str(each))
            for each in (limit.max_length for limit in limits)
            if each is not None
        ),
        "enum": _OneOf(frozenset.intersection(*lists)) if lists else None,
        "pattern": _all(each.pattern for each in limits),
        "format": _all(each.format for each in rules),
        "order": _all(each.not_before for each in rules),
    }


def _all(told: Iterable[str | None]) -> _All | None:
    found = frozenset(each for each in told if each is not None)
    return _All(found) if found else None


def _innermost(edges: Iterable[_Edge]) -> _Edge | None:
    return max(edges, key=lambda each: each.height, default=None)


def _lower(column: Property, limits: Iterable[Limits]) -> Iterator[_Edge]:
    for limit in limits:
        if limit.minimum is not None:
            yield _Edge((column.place(limit.minimum), False), f">= {limit.minimum}")
        if limit.exclusive_minimum is not None:
            yield _Edge(
                (column.place(limit.exclusive_minimum), True), f"> {limit.exclusive_minimum}"
            )


def _upper(column: Property, limits: Iterable[Limits]) -> Iterator[_Edge]:
    for limit in limits:
        if limit.maximum is not None:
            yield _Edge((-column.place(limit.maximum), False), f"<= {limit.maximum}")
        if limit.exclusive_maximum is not None:
            yield _Edge(
                (-column.place(limit.exclusive_maximum), True), f"< {limit.exclusive_maximum}"
            )


def _said(value: object) -> str:
    return "" if value is None else str(value)

"""What changed between two versions of a contract, and which changes break somebody."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal

import pyarrow as pa

from contracts.model import Contract, Property, Rule, Severity
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
            kind = "required" if after.required else "optional"
            found.append(Change(after.name, "added", "", kind, after.required))
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
    if old.required != new.required:
        words = {True: "required", False: "optional"}
        yield Change(old.name, "null", words[old.required], words[new.required], new.required)
    if old.unit != new.unit:
        yield Change(old.name, "unit", old.unit or "", new.unit or "", is_breaking=True)
    if old.classification != new.classification:
        classes = {old.classification, new.classification}
        yield Change(
            old.name, "class", old.classification, new.classification, bool(classes & _HIDDEN)
        )
    yield from _enum(old, new)
    yield from _limits(old, new)
    yield from _spelling(old, new)
    yield from _quality(old, new)


def _holds(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Tell whether every value of one type is one of the other, unchanged."""
    if pa.types.is_decimal(wide) and pa.types.is_decimal(narrow):
        whole = wide.precision - wide.scale >= narrow.precision - narrow.scale
        return bool(whole and wide.scale >= narrow.scale)
    return bool(wide == narrow)


def _enum(old: Property, new: Property) -> Iterator[Change]:
    before, after = ({each.value for each in column.enum} for column in (old, new))
    if before == after:
        return
    # No list at all allows everything.
    narrower = bool(after) and (not before or bool(before - after))
    yield Change(old.name, "enum", ", ".join(sorted(before)), ", ".join(sorted(after)), narrower)


def _limits(old: Property, new: Property) -> Iterator[Change]:
    """Compare the edges: one that moves inwards, or is new, is narrower."""
    for name, inward in _EDGES.items():
        before, after = getattr(old.limits, name), getattr(new.limits, name)
        if before == after:
            continue
        narrower = after is not None and (before is None or _is_inward(before, after, inward))
        yield Change(old.name, name, _said(before), _said(after), narrower)


# For each edge, which direction leaves fewer values.
_EDGES = {
    "minimum": 1,
    "exclusive_minimum": 1,
    "min_length": 1,
    "maximum": -1,
    "exclusive_maximum": -1,
    "max_length": -1,
}


def _is_inward(before: object, after: object, inward: int) -> bool:
    def place(edge: object) -> tuple[Decimal, str]:
        text = str(edge)
        # Days and instants sort as texts, numbers as numbers.
        return (Decimal(0), text) if "-" in text[1:] else (Decimal(text), "")

    return place(after) > place(before) if inward > 0 else place(after) < place(before)


def _spelling(old: Property, new: Property) -> Iterator[Change]:
    """A pattern, format or reference that is another may refuse what was right."""
    told = {
        "pattern": (old.limits.pattern, new.limits.pattern),
        "format": (old.format, new.format),
        "reference": (old.reference, new.reference),
    }
    for what, (before, after) in told.items():
        if before != after:
            yield Change(old.name, what, _said(before), _said(after), after is not None)


def _quality(old: Property, new: Property) -> Iterator[Change]:
    """Compare quality rules: a promise breaks somebody once its severity is error."""
    before, after = ({_wording(rule): rule.severity for rule in c.quality} for c in (old, new))
    for wording in sorted(before.keys() | after.keys()):
        was, now = before.get(wording), after.get(wording)
        if was != now:
            what = "severity" if was and now else "quality"
            said, says = (f"{each}: {wording}" if each else "" for each in (was, now))
            yield Change(old.name, what, said, says, now is Severity.ERROR)


def _wording(rule: Rule) -> str:
    """Say what a rule promises, whatever follows from it."""
    limits = {name: value for name, value in asdict(rule.limits).items() if value is not None}
    words = {
        "required": rule.required or None,
        **limits,
        "enum": ", ".join(sorted(each.value for each in rule.enum)) or None,
        "format": rule.format,
        "not before": rule.not_before,
    }
    return ", ".join(f"{name} {value}" for name, value in words.items() if value is not None)


def _said(value: object) -> str:
    return "" if value is None else str(value)

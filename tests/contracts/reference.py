"""The reference judge: one row after the other, one promise after the other, in plain Python."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from contracts.formats import FORMATS
from contracts.model import Contract, LogicalType, Property

Row = Mapping[str, object]
_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)


def judged(
    rows: Sequence[Row],
    contract: Contract,
    faults: Mapping[int, Sequence[str]],
    batches: Sequence[int],
) -> list[set[str]]:
    """Give the reason codes of each row; faults are those found while decoding."""
    found = [_row(row, contract, set(faults.get(at, ()))) for at, row in enumerate(rows)]
    for at in _repeats(rows, contract, found, batches):
        found[at].add(f"{contract.key[0]}.unique")
    return found


def _row(row: Row, contract: Contract, faults: set[str]) -> set[str]:
    if "record.undecodable" in faults:
        return faults
    found = set(faults)
    for column in contract.properties:
        if row["_op"] == "delete" and column.name not in contract.key:
            continue
        value = row[column.name]
        if value is not None:
            found |= {f"{column.name}.{kind}" for kind in _value(column, value)}
        elif column.required and f"{column.name}.type" not in faults:
            found.add(f"{column.name}.required")
    return found


def _value(column: Property, value: object) -> set[str]:
    limits = column.limits
    broken = {
        "enum": bool(column.enum) and value not in [each.value for each in column.enum],
        "minimum": (limits.minimum is not None and value < _edge(column, limits.minimum))
        or (
            limits.exclusive_minimum is not None
            and value <= _edge(column, limits.exclusive_minimum)
        ),
        "maximum": (limits.maximum is not None and value > _edge(column, limits.maximum))
        or (
            limits.exclusive_maximum is not None
            and value >= _edge(column, limits.exclusive_maximum)
        ),
    }
    if isinstance(value, str):
        broken["length"] = not (limits.min_length or 0) <= len(value) <= (limits.max_length or 1e9)
        broken["pattern"] = limits.pattern is not None and not _is_spelt(value, limits.pattern)
        broken["format"] = column.format is not None and not _is_of(value, column.format)
    return {kind for kind, is_broken in broken.items() if is_broken}


def _edge(column: Property, text: str) -> object:
    if column.type is LogicalType.DATE:
        return date.fromisoformat(text)
    if column.type is LogicalType.TIMESTAMP:
        return datetime.fromisoformat(text)
    return Decimal(text)


def _is_spelt(text: str, pattern: str) -> bool:
    return re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text) is not None


def _is_of(text: str, name: str) -> bool:
    if not _is_spelt(text, FORMATS[name].pattern):
        return False
    if name != "uscc":
        return True
    told = sum(_USCC.index(each) * weight for each, weight in zip(text, _WEIGHTS, strict=False))
    return text[17] == _USCC[(31 - told % 31) % 31]


def _repeats(
    rows: Sequence[Row],
    contract: Contract,
    found: Sequence[set[str]],
    batches: Sequence[int],
) -> list[int]:
    """Find the rows that say again what an accepted row of their batch has said before."""
    names = [*contract.key, "updated_at", "_op"]
    seen: set[tuple[object, ...]] = set()
    repeats = []
    for at, row in enumerate(rows):
        said = (batches[at], *(row[name] for name in names))
        if said in seen:
            if "record.undecodable" not in found[at]:
                repeats.append(at)
        elif not found[at]:
            seen.add(said)
    return repeats

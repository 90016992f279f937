"""The reference judge: one row after the other, one promise after the other, in plain Python."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from contracts.formats import FORMATS
from contracts.model import Contract, LogicalType, Property, Rule

Row = Mapping[str, object]
_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)


def judged(
    rows: Sequence[Row],
    contract: Contract,
    faults: Mapping[int, Sequence[str]],
    batches: Sequence[int],
) -> tuple[list[set[str]], list[bool]]:
    """Give the reason codes of each row, and whether it is refused; faults are decoding's."""
    found, refused = [], []
    for at, row in enumerate(rows):
        errors, warnings = _row(row, contract, set(faults.get(at, ())))
        found.append(errors | warnings)
        refused.append(bool(errors))
    for at in _repeats(rows, contract, tuple(refused), batches):
        if "record.undecodable" not in found[at]:
            found[at].add(f"{contract.key[0]}.unique")
        refused[at] = True
    return found, refused


def _row(row: Row, contract: Contract, faults: set[str]) -> tuple[set[str], set[str]]:
    """Give the codes of a row by severity."""
    if "record.undecodable" in faults:
        return faults, set()
    if row["_op"] == "delete":
        faults = {each for each in faults if each.rpartition(".")[0] in {*contract.key, "_op"}}
    errors, warnings = set(faults), set[str]()
    for column in contract.properties:
        if row["_op"] == "delete" and column.name not in contract.key:
            continue
        for rule in column.rules:
            found = {f"{column.name}.{kind}" for kind in _broken(row, column, rule, faults)}
            if rule.severity == "error":
                errors |= found
            else:
                warnings |= found
    return errors, warnings


def _broken(row: Row, column: Property, rule: Rule, faults: set[str]) -> set[str]:
    value = row[column.name]
    if value is None:
        is_missing = rule.required and f"{column.name}.type" not in faults
        return {"required"} if is_missing else set()
    limits = rule.limits
    low, strict_low, high, strict_high = (
        None if edge is None else _edge(column, edge)
        for edge in (
            limits.minimum, limits.exclusive_minimum, limits.maximum, limits.exclusive_maximum
        )
    )  # fmt: skip
    first = row[rule.not_before] if rule.not_before else None
    broken = {
        "enum": bool(rule.enum) and value not in [each.value for each in rule.enum],
        "minimum": (low is not None and value < low)
        or (strict_low is not None and value <= strict_low),
        "maximum": (high is not None and value > high)
        or (strict_high is not None and value >= strict_high),
        "order": first is not None and value < first,
    }
    if isinstance(value, str):
        broken["length"] = not (limits.min_length or 0) <= len(value) <= (limits.max_length or 1e9)
        broken["pattern"] = limits.pattern is not None and not _is_spelt(value, limits.pattern)
        broken["format"] = rule.format is not None and not _is_of(value, rule.format)
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
    refused: Sequence[bool],
    batches: Sequence[int],
) -> list[int]:
    """Find the rows that say again what an accepted row of their batch has said before."""
    names = [*contract.key, "updated_at", "_op"]
    seen: set[tuple[object, ...]] = set()
    repeats = []
    for at, row in enumerate(rows):
        said = (batches[at], *(row[name] for name in names))
        if said in seen:
            repeats.append(at)
        elif not refused[at]:
            seen.add(said)
    return repeats

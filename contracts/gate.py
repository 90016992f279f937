"""Splits a whole batch by columns: rows accepted, some with warnings, rows refused with reasons."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from contracts.formats import FORMATS
from contracts.model import Contract, Limits, Property, Rule, Severity
from contracts.schema import arrow_type
from contracts.violations import Kind, Violation

# UTF-8 spells a character with at most so many bytes.
_WIDEST = 4
Reasons = Mapping[int, tuple[Violation, ...]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which rows broke which promises: an error refuses a row, a row with warnings lands."""

    count: int
    refused: Reasons
    warned: Reasons

    def accepted(self) -> pa.Array:
        """Number the rows that broke nothing of severity error."""
        everyone = pa.arange(0, self.count).cast(pa.int32())
        if not self.refused:
            return everyone
        bad = pa.array(self.refused, pa.int32())
        return everyone.filter(pc.invert(pc.is_in(everyone, value_set=bad)))

    def warnings(self) -> pa.Array:
        """Spell, per row that lands, the codes of its warnings; null where there are none."""
        if not self.warned:
            return pa.nulls(self.count, pa.string())
        codes: list[str | None] = [None] * self.count
        for row, why in self.warned.items():
            codes[row] = ",".join(each.code for each in why)
        return pa.array(codes, pa.string())


class _Found:
    """What is found of each row, and of which rows it is an error."""

    def __init__(self, faults: Reasons) -> None:
        self._faults = faults
        self._reasons: dict[int, list[Violation]] = {r: list(why) for r, why in faults.items()}
        self.refused: set[int] = set(faults)

    def note(self, rows: Sequence[int], violation: Violation, severity: Severity) -> None:
        """Add a reason to rows, unless it follows from a known one: no type, or no row at all."""
        typeless = Violation(Kind.TYPE, violation.column)
        noted = []
        for row in rows:
            known = self._reasons.setdefault(row, [])
            if row in self._faults and (
                Violation(Kind.UNDECODABLE) in known
                or (violation.kind is Kind.REQUIRED and typeless in known)
            ):
                continue
            if violation not in known:
                known.append(violation)
            noted.append(row)
        if severity is Severity.ERROR:
            self.refused.update(noted)

    def verdict(self, count: int) -> Verdict:
        """Part the rows that are refused from those that land with a warning."""
        reasons = {row: tuple(why) for row, why in sorted(self._reasons.items())}
        refused = {row: why for row, why in reasons.items() if row in self.refused}
        warned = {row: why for row, why in reasons.items() if row not in self.refused}
        return Verdict(count, refused, warned)


def judge(
    rows: pa.Table,
    contract: Contract,
    faults: Reasons,
    batches: pa.Array | None = None,
    waiting: Container[int] = (),
) -> Verdict:
    """Check every promise of every row; faults are those already found while decoding.

    Rows of several batches may be judged at once: `batches` then tells to which each belongs.
    Rows that have waited in quarantine come after those that landed meanwhile.
    """
    deletes = pc.equal(_whole(rows["_op"]), "delete")
    keeps = pc.invert(deletes) if pc.any(deletes).as_py() else None
    found = _Found(faults if keeps is None else _of_keys(faults, deletes, contract))
    for column in contract.properties:
        for rule in column.rules:
            for kind, broken in _broken(column, rule, rows):
                # A delete is checked on its key columns only: it need not carry the rest.
                is_free = keeps is not None and column.key_position is None
                counted = pc.and_(broken, keeps) if is_free else broken
                bad = pc.indices_nonzero(counted).to_pylist()
                found.note(bad, Violation(kind, column.name), rule.severity)
    repeated = _repeated(rows, contract, batches, (frozenset(found.refused), waiting))
    found.note(repeated, Violation(Kind.UNIQUE, contract.key[0]), Severity.ERROR)
    return found.verdict(rows.num_rows)


def _of_keys(faults: Reasons, deletes: pa.Array, contract: Contract) -> Reasons:
    """Leave out what is of another type in a delete, but in its key."""
    others = {each.name for each in contract.properties if each.key_position is None}
    asked = {
        row: tuple(each for each in why if not (each.column in others and deletes[row].as_py()))
        for row, why in faults.items()
    }
    return {row: why for row, why in asked.items() if why}


def _broken(column: Property, rule: Rule, rows: pa.Table) -> Iterator[tuple[Kind, pa.Array]]:
    """Give a mask per promise, true where broken; a null breaks only its own rule."""
    values = _whole(rows[column.name])
    if rule.required and values.null_count:
        yield Kind.REQUIRED, pc.is_null(values)
    if rule.enum:
        allowed = pa.array([*(each.value for each in rule.enum), None])
        yield Kind.ENUM, pc.invert(pc.is_in(values, value_set=allowed))
    yield from _beyond(column, rule.limits, values)
    yield from _misspelt(rule, values)
    if rule.not_before is not None:
        yield Kind.ORDER, pc.less(values, _whole(rows[rule.not_before]))


def _whole(values: pa.ChunkedArray) -> pa.Array:
    """Give a column in one piece; combining a single piece would copy it."""
    return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()


def _edge(column: Property, text: str) -> pa.Scalar:
    """Read an edge in the column's own type."""
    wanted = arrow_type(column)
    if pa.types.is_date32(wanted):
        return pa.scalar(date.fromisoformat(text), wanted)
    if pa.types.is_timestamp(wanted):
        return pa.scalar(datetime.fromisoformat(text), wanted)
    # Compared as a decimal of its own size: an edge may be finer than the column.
    return pa.scalar(Decimal(text) if pa.types.is_decimal(wanted) else int(text))


def _beyond(column: Property, limits: Limits, values: pa.Array) -> Iterator[tuple[Kind, pa.Array]]:
    for edge, kind, outside in (
        (limits.minimum, Kind.MINIMUM, pc.less),
        (limits.exclusive_minimum, Kind.MINIMUM, pc.less_equal),
        (limits.maximum, Kind.MAXIMUM, pc.greater),
        (limits.exclusive_maximum, Kind.MAXIMUM, pc.greater_equal),
    ):
        if edge is not None:
            yield kind, outside(values, _edge(column, edge))


def _misspelt(rule: Rule, values: pa.Array) -> Iterator[tuple[Kind, pa.Array]]:
    limits = rule.limits
    if limits.min_length is not None or limits.max_length is not None:
        yield from _unlike_in_length(limits, values)
    if limits.pattern is not None:
        yield Kind.PATTERN, pc.invert(pc.match_substring_regex(values, limits.pattern))
    if rule.format is not None:
        yield Kind.FORMAT, FORMATS[rule.format].broken(values)


def _unlike_in_length(limits: Limits, values: pa.Array) -> Iterator[tuple[Kind, pa.Array]]:
    """Count characters only where the bytes, of which there are never fewer, leave it open."""
    sizes = pc.min_max(pc.binary_length(values))
    least, most = sizes["min"].as_py() or 0, sizes["max"].as_py() or 0
    if limits.min_length is not None and least < _WIDEST * limits.min_length:
        yield Kind.LENGTH, pc.less(pc.utf8_length(values), limits.min_length)
    if limits.max_length is not None and most > limits.max_length:
        yield Kind.LENGTH, pc.greater(pc.utf8_length(values), limits.max_length)


def _repeated(
    rows: pa.Table,
    contract: Contract,
    batches: pa.Array | None,
    behind: tuple[Container[int], Container[int]],
) -> list[int]:
    """Find the rows that say again what a row of their batch that is not refused said before."""
    refused, waiting = behind
    keys = [_whole(rows[name]) for name in contract.key]
    if len(keys) == 1 and _is_unique(keys[0]):
        return []
    # The key alone nearly always settles it; the other columns are asked of its twins only.
    codes = _codes(keys)
    twins = _twins(codes)
    names = [name for name in ("updated_at", "_op") if name in rows.column_names]
    others = [_whole(rows[name]).take(twins) for name in names]
    if batches is not None:
        others.append(batches.take(twins))
    codes = _codes([codes.take(twins), *others])
    same = _twins(codes)
    said: set[int] = set()
    repeated: list[int] = []
    told = zip(twins.take(same).to_pylist(), codes.take(same).to_pylist(), strict=True)
    for row, code in sorted(told, key=lambda each: each[0] in waiting):
        if code in said:
            repeated.append(row)
        elif row not in refused:
            said.add(code)
    return repeated


def _is_unique(values: pa.Array) -> bool:
    """Tell whether no value occurs twice; sources mostly send in the order of their keys."""
    is_rising = pc.all(pc.less(values[:-1], values[1:]), skip_nulls=False).as_py()
    return bool(is_rising) or len(values.unique()) == len(values)


def _codes(columns: Sequence[pa.Array]) -> pa.Array:
    """Number the distinct combinations of values: equal numbers, equal rows; a null is a value."""
    codes = _encoded(columns[0]).indices
    for column in columns[1:]:
        encoded = _encoded(column)
        pairs = pc.multiply(codes.cast(pa.int64()), len(encoded.dictionary) or 1)
        codes = _encoded(pc.add(pairs, encoded.indices.cast(pa.int64()))).indices
    return codes


def _encoded(values: pa.Array) -> pa.DictionaryArray:
    return values.dictionary_encode(null_encoding="encode")


def _twins(codes: pa.Array) -> pa.Array:
    """Find the rows whose number others bear too, in their order."""
    counted = codes.value_counts()
    several = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    return pc.indices_nonzero(pc.is_in(codes, value_set=several))

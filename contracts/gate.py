"""Splits a whole batch by columns: rows accepted, rows refused with every reason."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from contracts.formats import FORMATS
from contracts.model import Contract, Property
from contracts.schema import arrow_type
from contracts.violations import Kind, Violation


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which rows broke which promises; a row not named is accepted."""

    count: int
    refused: Mapping[int, tuple[Violation, ...]]

    def accepted(self) -> pa.Array:
        """Number the rows that broke nothing."""
        everyone = pa.array(range(self.count), pa.int32())
        if not self.refused:
            return everyone
        bad = pa.array(self.refused, pa.int32())
        return everyone.filter(pc.invert(pc.is_in(everyone, value_set=bad)))


def judge(
    rows: pa.Table,
    contract: Contract,
    faults: Mapping[int, tuple[Violation, ...]],
    batches: pa.Array | None = None,
) -> Verdict:
    """Check every promise of every row; faults are those already found while decoding.

    Rows of several batches may be judged at once: `batches` then tells to which each belongs.
    """
    found: dict[int, list[Violation]] = {row: list(known) for row, known in faults.items()}
    is_delete = pc.equal(rows["_op"].combine_chunks(), "delete")
    keeps = pc.invert(is_delete)
    for column in contract.properties:
        values = rows[column.name].combine_chunks()
        for kind, broken in _broken(column, values):
            # A delete is checked on its key columns only: it need not carry the rest.
            counted = broken if column.key_position is not None else pc.and_(broken, keeps)
            for row in pc.indices_nonzero(counted).to_pylist():
                _note(found, row, Violation(kind, column.name))
    for row in _repeated(rows, contract, batches, set(found)):
        _note(found, row, Violation(Kind.UNIQUE, contract.key[0]))
    return Verdict(rows.num_rows, {row: tuple(why) for row, why in sorted(found.items())})


def _note(found: dict[int, list[Violation]], row: int, violation: Violation) -> None:
    """Add a reason, unless it follows from one that is known: no type, or no row at all."""
    known = found.setdefault(row, [])
    if Violation(Kind.UNDECODABLE) in known:
        return
    if violation.kind is Kind.REQUIRED and Violation(Kind.TYPE, violation.column) in known:
        return
    known.append(violation)


def _broken(column: Property, values: pa.Array) -> Iterator[tuple[Kind, pa.Array]]:
    """Give a mask per promise, true where broken; a null breaks only its own rule."""
    if column.required:
        yield Kind.REQUIRED, pc.is_null(values)
    if column.enum:
        allowed = pa.array([each.value for each in column.enum])
        yield Kind.ENUM, _but_null(values, pc.invert(pc.is_in(values, value_set=allowed)))
    yield from _beyond(column, values)
    yield from _misspelt(column, values)


def _but_null(values: pa.Array, mask: pa.Array) -> pa.Array:
    return pc.and_(pc.is_valid(values), pc.fill_null(mask, fill_value=False))


def _edge(column: Property, text: str) -> pa.Scalar:
    """Read an edge in the column's own type."""
    wanted = arrow_type(column)
    if pa.types.is_date32(wanted):
        return pa.scalar(date.fromisoformat(text), wanted)
    if pa.types.is_timestamp(wanted):
        return pa.scalar(datetime.fromisoformat(text), wanted)
    # Compared as a decimal of its own size: an edge may be finer than the column.
    return pa.scalar(Decimal(text) if pa.types.is_decimal(wanted) else int(text))


def _beyond(column: Property, values: pa.Array) -> Iterator[tuple[Kind, pa.Array]]:
    limits = column.limits
    for edge, kind, outside in (
        (limits.minimum, Kind.MINIMUM, pc.less),
        (limits.exclusive_minimum, Kind.MINIMUM, pc.less_equal),
        (limits.maximum, Kind.MAXIMUM, pc.greater),
        (limits.exclusive_maximum, Kind.MAXIMUM, pc.greater_equal),
    ):
        if edge is not None:
            yield kind, _but_null(values, outside(values, _edge(column, edge)))


def _misspelt(column: Property, values: pa.Array) -> Iterator[tuple[Kind, pa.Array]]:
    limits = column.limits
    if limits.min_length is not None:
        yield Kind.LENGTH, _but_null(values, pc.less(pc.utf8_length(values), limits.min_length))
    if limits.max_length is not None:
        yield Kind.LENGTH, _but_null(values, pc.greater(pc.utf8_length(values), limits.max_length))
    if limits.pattern is not None:
        matches = pc.match_substring_regex(values, limits.pattern)
        yield Kind.PATTERN, _but_null(values, pc.invert(matches))
    if column.format is not None:
        yield Kind.FORMAT, _but_null(values, FORMATS[column.format].broken(values))


def _repeated(
    rows: pa.Table, contract: Contract, batches: pa.Array | None, refused: Container[int]
) -> list[int]:
    """Find the rows that say again what a row of their batch that is not refused said before."""
    codes = _codes([rows[name] for name in contract.key])
    # The key alone nearly always settles it; the other columns are asked of its twins only.
    twins = _twins(codes)
    names = [name for name in ("updated_at", "_op") if name in rows.column_names]
    others = [rows[name].take(twins) for name in names]
    if batches is not None:
        others.append(batches.take(twins))
    codes = _codes([codes.take(twins), *others])
    same = _twins(codes)
    said: set[int] = set()
    repeated: list[int] = []
    for row, code in zip(twins.take(same).to_pylist(), codes.take(same).to_pylist(), strict=True):
        if code in said:
            repeated.append(row)
        elif row not in refused:
            said.add(code)
    return repeated


def _codes(columns: Sequence[pa.Array | pa.ChunkedArray]) -> pa.Array:
    """Number the distinct combinations of values: equal numbers, equal rows; a null is a value."""
    codes = _encoded(columns[0]).indices
    for column in columns[1:]:
        encoded = _encoded(column)
        pairs = pc.multiply(codes.cast(pa.int64()), len(encoded.dictionary) or 1)
        codes = _encoded(pc.add(pairs, encoded.indices.cast(pa.int64()))).indices
    return codes


def _encoded(values: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return values.dictionary_encode(null_encoding="encode")


def _twins(codes: pa.Array) -> pa.Array:
    """Find the rows whose number others bear too, in their order."""
    if pc.count_distinct(codes).as_py() == len(codes):
        return pa.array([], pa.uint64())
    counted = codes.value_counts()
    several = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    return pc.indices_nonzero(pc.is_in(codes, value_set=several))

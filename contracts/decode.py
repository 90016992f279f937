"""From the body of a record to rows: Arrow streams, NDJSON, a JSON object or an array of them."""

import io
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as pj

from contracts.conform import OP, WRONG, Faults, conform
from contracts.drift import Drift, in_json, in_table
from contracts.ipc import is_plain, undictionaried, unfolded_bytes, unviewed
from contracts.json_rows import Number, pieces_of, row_of
from contracts.model import Contract, LogicalType
from contracts.schema import arrow_type
from contracts.violations import Kind, Violation
from kernel import canonical

# What is read of JSON at once.
_PORTION = 1 << 20
# A body of 4 MiB may be a fold of much more than any memory holds.
_LARGEST_UNFOLDED = 64 << 20
# An agent sends 5,000; what costs a sender nothing, a row of nulls, must not cost us the memory.
MOST_ROWS = 50_000
# Nor must columns of nulls: every contract's columns and as many again for all of these rows.
_MOST_VALUES = 4_000_000
# So many of them are written as JSON at once.
_VALUES = 100_000
# Numbers that only `conform` reads as what they are. For Arrow's engine, which is seven times
# quicker than Python's and lets others work meanwhile.
_ODD_NUMBER = r":[ \t\r\n]*-?(?:[0-9][0-9.]{19}|[0-9.]+[eE])"


class UndecodableError(Exception):
    """The body is not what its content type says."""


@dataclass(frozen=True, slots=True)
class Loose:
    """Rows as bodies spell them: known columns of any type, what else they held, what is no row."""

    columns: pa.Table
    extra: tuple[str | None, ...] | None
    broken: tuple[int, ...]
    raw: Callable[[Sequence[int]], list[bytes]]
    # The bytes of the body, unfolded.
    body: int = 0
    drift: frozenset[Drift] = frozenset()

    @property
    def count(self) -> int:
        """Tell the number of rows."""
        return int(self.columns.num_rows)

    @property
    def size(self) -> int:
        """Tell about how many bytes it holds."""
        return max(self.body, int(self.columns.nbytes))

    def only(self, rows: Sequence[int]) -> "Loose":
        """Keep some of the rows, all of which are plain."""
        return Loose(
            self.columns.take(rows), None, (), lambda wanted: self.raw([rows[at] for at in wanted])
        )


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rows in the contract's types, what else they held, and the values that did not fit.

    `raw` gives rows, numbered in rising order, as they were sent.
    """

    rows: pa.Table
    extra: pa.Array | None
    faults: Faults
    raw: Callable[[Sequence[int]], list[bytes]]


def decode_arrow(body: bytes, contract: Contract) -> Decoded:
    """Read an Arrow IPC stream to the contract's types."""
    return settle([read_arrow(body, contract)], contract)


def decode_json(body: bytes, contract: Contract, *, lines: bool) -> Decoded:
    """Read JSON rows to the contract's types."""
    return settle([read_json(body, contract, lines=lines)], contract)


def settle(parts: Sequence[Loose], contract: Contract) -> Decoded:
    """Give the rows of bodies whose columns are alike the contract's types, all in one go."""
    whole = parts[0].columns if len(parts) == 1 else pa.concat_tables(p.columns for p in parts)
    faults: dict[int, list[Violation]] = {}
    starts = [0]
    for part in parts:
        faults |= {starts[-1] + row: [Violation(Kind.UNDECODABLE)] for row in part.broken}
        starts.append(starts[-1] + part.count)
    rows, found = conform(whole, contract, faults)
    extra = None
    if any(part.extra for part in parts):
        extra = pa.array(
            [text for part in parts for text in part.extra or [None] * part.count], pa.string()
        )

    def raw(wanted: Sequence[int]) -> list[bytes]:
        given: list[bytes] = []
        first = 0
        for part, start, end in zip(parts, starts, starts[1:], strict=False):
            last = bisect_left(wanted, end, first)
            given += part.raw([row - start for row in wanted[first:last]]) if last > first else []
            first = last
        return given

    return Decoded(rows, extra, found, raw)


def unfolded(body: bytes, encoding: str) -> bytes:
    """Undo the content encoding of a body, as far as a body may unfold."""
    if not encoding:
        return body
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), encoding) as stream:
            found: bytes = stream.read(_LARGEST_UNFOLDED + 1)
    except (OSError, ValueError, pa.ArrowException) as broken:
        raise UndecodableError(str(broken)) from broken
    if len(found) > _LARGEST_UNFOLDED:
        raise UndecodableError(f"the body unfolds to more than {_LARGEST_UNFOLDED} bytes")
    return found


def read_arrow(body: bytes, contract: Contract) -> Loose:
    """Read an Arrow IPC stream."""
    try:
        if unfolded_bytes(body) > _LARGEST_UNFOLDED:
            raise UndecodableError(f"the body unfolds to more than {_LARGEST_UNFOLDED} bytes")
        with pa.ipc.open_stream(io.BytesIO(body)) as stream:
            table = stream.read_all()
        if table.num_rows > MOST_ROWS:
            raise UndecodableError(f"the body holds more than {MOST_ROWS} rows")
        if table.num_rows * table.num_columns > _MOST_VALUES:
            raise UndecodableError(f"the body holds more than {_MOST_VALUES} values")
        table.validate(full=True)
        table = undictionaried(unviewed(table, _LARGEST_UNFOLDED), _LARGEST_UNFOLDED)
    except (pa.ArrowException, OSError, ValueError, struct.error) as broken:
        raise UndecodableError(str(broken).splitlines()[0]) from broken
    names = table.column_names
    if len(set(names)) != len(names):
        raise UndecodableError("two columns bear one name")
    known = {*(each.name for each in contract.properties), OP}
    unknown = table.select([name for name in names if name not in known])
    extra = None
    if unknown.num_columns:
        rows = max(1, _VALUES // unknown.num_columns)
        some = (unknown.slice(at, rows) for at in range(0, unknown.num_rows, rows))
        extra = tuple(_extra(row) for portion in some for row in _readable(portion))

    def raw(rows: Sequence[int]) -> list[bytes]:
        return [canonical.dumps(row) for row in _readable(table.take(rows))]

    columns = table.select([name for name in names if name in known])
    # Without columns nothing tells how many rows there are.
    columns = columns if columns.num_columns else pa.table({OP: pa.nulls(table.num_rows)})
    return Loose(columns, extra, (), raw, int(table.nbytes), in_table(table, contract))


def read_json(body: bytes, contract: Contract, *, lines: bool) -> Loose:
    """Read NDJSON, a JSON object or an array of objects; a row that is none is told apart."""
    try:
        pieces = list(islice(pieces_of(body, lines=lines), MOST_ROWS + 1))
        if len(pieces) > MOST_ROWS:
            raise UndecodableError(f"the body holds more than {MOST_ROWS} rows")
        return replace(read_rows(pieces, contract), body=len(body))
    except (ValueError, RecursionError) as broken:
        raise UndecodableError(str(broken)) from broken


def read_rows(pieces: Sequence[bytes], contract: Contract) -> Loose:
    """Read JSON objects, each from a text of its own."""
    texts = {each.name: each.type is LogicalType.STRING for each in contract.properties}
    names = [*texts, OP]
    tables = [pa.table({name: pa.array([], pa.string()) for name in names})]
    extra: list[str | None] = []
    broken: list[int] = []
    drift: frozenset[Drift] = frozenset()
    for some in _portions(pieces):
        rows = [row_of(piece.decode()) for piece in some]
        broken += [len(extra) + place for place, row in enumerate(rows) if row is None]
        columns = {
            name: [_as_text((row or {}).get(name), text=texts.get(name, True)) for row in rows]
            for name in names
        }
        tables.append(pa.table({name: pa.array(of, pa.string()) for name, of in columns.items()}))
        spare = [{k: v for k, v in (row or {}).items() if k not in columns} for row in rows]
        extra += [_extra(each) for each in spare]
        drift = in_json(spare, drift)

    def raw(wanted: Sequence[int]) -> list[bytes]:
        return [pieces[row] for row in wanted]

    return Loose(
        pa.concat_tables(tables),
        tuple(extra) if any(extra) else None,
        tuple(broken),
        raw,
        drift=drift,
    )


def _portions(pieces: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut texts where together they are long: once read they take many times as much."""
    start = size = 0
    for at, piece in enumerate(pieces):
        size += len(piece)
        if size >= _PORTION:
            yield pieces[start : at + 1]
            start, size = at + 1, 0
    if start < len(pieces):
        yield pieces[start:]


def read_json_singles(bodies: Sequence[bytes], contract: Contract) -> Loose | None:
    """Read many bodies of one plain object each at once; nothing when any is not that plain.

    The quick reader and `read_json` agree on every row that the quick one accepts.
    """
    lines = b"\n".join(bodies)
    # A line each, all of them objects; looked for in one go, for bodies are many and short.
    breaks = len(bodies) - 1
    if not (lines[:1] == b"{" and lines[-1:] == b"}" and lines.count(b"\n") == breaks):
        return None
    if lines.count(b"}\n{") != breaks:
        return None
    if pc.match_substring_regex(pa.array([lines], pa.large_binary()), _ODD_NUMBER)[0].as_py():
        return None
    fields = [
        (each.name, _JSON_TYPES.get(each.type) or arrow_type(each)) for each in contract.properties
    ]
    options = pj.ParseOptions(
        explicit_schema=pa.schema([*fields, (OP, pa.string())]), unexpected_field_behavior="error"
    )
    size = max(1 << 20, 2 * max(map(len, bodies)))
    try:
        table = pj.read_json(pa.BufferReader(lines), pj.ReadOptions(block_size=size), options)
        table.validate(full=True)
    except (pa.ArrowException, ValueError):
        return None
    if table.num_rows != len(bodies):
        return None

    def raw(rows: Sequence[int]) -> list[bytes]:
        return [bodies[row] for row in rows]

    return Loose(table, None, (), raw)


# As texts: the quick reader would take an instant without a zone for one of UTC.
_JSON_TYPES = dict.fromkeys(
    (LogicalType.STRING, LogicalType.DATE, LogicalType.TIMESTAMP), pa.string()
)


def _as_text(value: object, *, text: bool) -> str | None:
    """Spell a JSON value so that one cast serves the whole column."""
    if value is None:
        return None
    if isinstance(value, Number):
        return WRONG if text else value
    if isinstance(value, str):
        return value
    if text or isinstance(value, dict | list):
        return WRONG
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _readable(table: pa.Table) -> list[dict[str, object]]:
    """Give rows in a form that JSON can hold, whatever their types and however far their values."""
    for at, field in enumerate(table.schema):
        if not is_plain(field.type):
            told = pa.scalar(f"({field.type}, not readable)")
            table = table.set_column(at, field.name, pa.repeat(told, table.num_rows))
    try:
        rows: list[dict[str, object]] = table.to_pylist()
        canonical.dumps(rows)
    except _UNREADABLE:
        names = table.column_names
        return [{name: _plain(table[name][row]) for name in names} for row in range(table.num_rows)]
    return rows


_UNREADABLE = (ArithmeticError, TypeError, ValueError, RecursionError, pa.ArrowException)


def _plain(value: pa.Scalar) -> object:
    try:
        found = value.as_py()
        readable = found.hex() if isinstance(found, bytes) else found
        canonical.dumps(readable)
    except _UNREADABLE:
        return f"({value.type}, not readable)"
    return readable


def _extra(row: Mapping[str, object]) -> str | None:
    kept = {key: value for key, value in row.items() if value is not None}
    if not kept:
        return None
    try:
        return canonical.dumps(kept).decode()
    except TypeError:
        # The record is kept as it came; of what nobody promised this much is told.
        return canonical.dumps(dict.fromkeys(kept, "(nested too deep to keep)")).decode()

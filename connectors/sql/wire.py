"""MySQL's and MariaDB's answers as Arrow: cut by columns out of the bytes that the server sends."""

from array import array
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from io import BufferedReader
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pymysql
from pymysql.constants import FIELD_TYPE, FLAG
from sqlalchemy.exc import DBAPIError

from connectors.tables import column_of, require_apart

# How much is cut at a time, and how much is asked of the socket at once.
_BLOCK, _PIECE = 4 << 20, 1 << 18
# Each packet says its size in three bytes, and its number in one.
_HEADER, _LONGEST = 4, (1 << 24) - 1
# Each cell says its length in one byte; or that there is none; or how many bytes more say it.
_NULL, _LENGTHS = 0xFB, {0xFC: 2, 0xFD: 3, 0xFE: 8}
# The last packet is no row: the end is shorter than a cell of such a length could be.
_END, _END_BYTES, _WRONG = 0xFE, 9, 0xFF
# Of more digits no mapping reckons.
DIGITS = 38
# What Arrow reads without another alphabet.
_READ = ("ascii", "utf8")
_Convert = Callable[[str | bytes], object] | None
_LOST = 2013
_WHOLE = (
    FIELD_TYPE.TINY,
    FIELD_TYPE.SHORT,
    FIELD_TYPE.INT24,
    FIELD_TYPE.LONG,
    FIELD_TYPE.LONGLONG,
    FIELD_TYPE.YEAR,
)
_TYPES = {
    **dict.fromkeys(_WHOLE, pa.int64()),
    FIELD_TYPE.FLOAT: pa.float64(),
    FIELD_TYPE.DOUBLE: pa.float64(),
    FIELD_TYPE.DATE: pa.date32(),
    FIELD_TYPE.DATETIME: pa.timestamp("us"),
    FIELD_TYPE.TIMESTAMP: pa.timestamp("us"),
}


class _Field(Protocol):
    name: str
    type_code: int
    flags: int
    length: int
    scale: int


class _Answer(Protocol):
    fields: list[_Field]
    converters: list[tuple[str | None, _Convert]]
    unbuffered_active: bool


class Wire(pymysql.Connection):
    """A session of the driver's, which gives answers by columns."""

    _rfile: BufferedReader
    _result: _Answer

    def ask(self, text: str) -> Generator[pa.Table]:
        """Give an answer in tables as they come; who does not hear it to its end must hang up."""
        try:
            self.query(text, unbuffered=True)
            answer = self._result
            # The driver could not tell any more where a row begins.
            answer.unbuffered_active = False
            names = [field.name for field in answer.fields]
            require_apart(names)
            for block, starts in self._blocks():
                cells = _cells(block, starts, len(names))
                told = zip(cells, answer.fields, answer.converters, strict=True)
                yield pa.table([_column(*each) for each in told], names)
        except pymysql.Error as failed:
            raise DBAPIError(None, None, failed) from failed

    def _blocks(self) -> Iterator[tuple[bytearray, "array[int]"]]:
        """Give bytes, with where in them rows begin."""
        block, starts, at = bytearray(), array("q"), 0
        while True:
            block += self._piece()
            at = _scan(block, starts, at)
            if starts and (block[starts[-1]] == _WRONG or _is_end(block, starts[-1], at)):
                last = starts.pop()
                if block[last] == _WRONG:
                    pymysql.err.raise_mysql_exception(bytes(block[last:at]))
                if starts:
                    yield block, starts
                return
            if at >= _BLOCK:
                yield block, starts
                block, starts, at = block[at:], array("q"), 0

    def _piece(self) -> bytes:
        why = ""
        try:
            if piece := self._rfile.read1(_PIECE):
                return piece
        except OSError as broken:
            why = f" ({broken})"
        raise pymysql.OperationalError(_LOST, f"Lost connection to MySQL server during query{why}")


def _scan(block: bytearray, starts: "array[int]", at: int) -> int:
    """Note where the rows begin that are whole; give where the next one does."""
    while at + _HEADER <= len(block):
        size = block[at] | block[at + 1] << 8 | block[at + 2] << 16
        end = at + _HEADER + size if size < _LONGEST else _joined(block, at)
        if end > len(block):
            break
        starts.append(at + _HEADER)
        at = end
    return at


def _joined(block: bytearray, at: int) -> int:
    """Make one packet of those that a long row comes in, once all are here; give its end."""
    headers, end, size = [], at, _LONGEST
    while size == _LONGEST and end + _HEADER <= len(block):
        headers.append(end)
        size = int.from_bytes(block[end : end + 3], "little")
        end += _HEADER + size
    if size == _LONGEST or end > len(block):
        return len(block) + 1
    for header in reversed(headers[1:]):
        del block[header : header + _HEADER]
    return end - _HEADER * (len(headers) - 1)


def _is_end(block: bytearray, start: int, end: int) -> bool:
    return block[start] == _END and end - start < _END_BYTES


def _cells(block: bytearray, starts: "array[int]", count: int) -> Iterator[pa.Array]:
    """Cut rows into their cells, a column at a time."""
    data = pa.py_buffer(block)
    raw = pa.Array.from_buffers(pa.uint8(), len(block), [None, data])
    at = pa.Array.from_buffers(pa.int64(), len(starts), [None, pa.py_buffer(starts)])
    places = pa.arange(0, 2 * len(starts), 2)
    for _ in range(count):
        length = raw.take(at).cast(pa.int64())
        begin = pc.add(at, 1)
        is_null = pc.equal(length, _NULL)
        if pc.max(length).as_py() >= _NULL:
            length, begin = _long(raw, pc.if_else(is_null, 0, length), begin)
        at = pc.add(begin, length)
        # Where each begins and ends, by turns: every other text is a cell, the rest lies between.
        bounds = pc.bit_wise_or(begin, pc.shift_left(at, 32)).buffers()[1]
        texts = pa.Array.from_buffers(pa.binary(), 2 * len(starts) - 1, [None, bounds, data])
        yield texts.take(pc.if_else(is_null, pa.scalar(None, pa.int64()), places))


def _long(raw: pa.Array, told: pa.Array, begin: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read the lengths that take more than a byte; give where what they measure begins."""
    length, start = told, begin
    for mark, size in _LENGTHS.items():
        is_so = pc.equal(told, mark)
        if pc.any(is_so).as_py():
            at = pc.if_else(is_so, begin, 0)
            found = pa.scalar(0)
            for byte in range(size):
                part = raw.take(pc.add(at, byte)).cast(pa.int64())
                found = pc.bit_wise_or(found, pc.shift_left(part, 8 * byte))
            length = pc.if_else(is_so, found, length)
            start = pc.if_else(is_so, pc.add(begin, size), start)
    return length, start


def _column(cells: pa.Array, field: _Field, how: tuple[str | None, _Convert]) -> pa.Array:
    """Read the cells of a column; what Arrow cannot read of them is read as the driver does."""
    encoding, convert = how
    if encoding is None and convert is None:
        # Nothing at all may be of any kind, as far as the server tells.
        return cells if cells.null_count < len(cells) else pa.nulls(len(cells))
    kind = _kind(field) if convert else pa.string()
    if kind is not None and encoding in _READ:
        with suppress(pa.ArrowInvalid):
            texts = cells.cast(pa.string())
            # Nobody can write a day of that year but Arrow.
            if not (pa.types.is_temporal(kind) and pc.any(pc.starts_with(texts, "0000")).as_py()):
                return texts.cast(kind)
    values: list[bytes | None] = cells.to_pylist()
    return column_of([None if each is None else _value(each, encoding, convert) for each in values])


def _value(cell: bytes, encoding: str | None, convert: _Convert) -> object:
    told = cell.decode(encoding) if encoding else cell
    return convert(told) if convert else told


def _kind(field: _Field) -> pa.DataType | None:
    if field.type_code not in {FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL}:
        return _TYPES.get(field.type_code)
    # It tells how many characters there may be.
    marks = (field.scale > 0) + (not field.flags & FLAG.UNSIGNED)
    digits = field.length - marks
    return pa.decimal128(digits, field.scale) if 0 < digits <= DIGITS else None

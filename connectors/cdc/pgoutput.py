"""Reads what PostgreSQL's plugin pgoutput writes, version 1 of its protocol, for one table."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connectors.cdc.log import Change, Commit, Emptied, Event, Row, Shape

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_U16, _I32, _U32 = struct.Struct(">H"), struct.Struct(">i"), struct.Struct(">I")
_NULL, _SAME, _NEW = ord("n"), ord("u"), ord("N")


class Unchanged:
    """Stands for a large value that did not change, and is therefore not told."""


UNCHANGED = Unchanged()


def lsn(number: int) -> str:
    """Write a place in the log as PostgreSQL does."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def number_of(text: str) -> int:
    """Read a place in the log."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


@dataclass(slots=True)
class Reader:
    """Understands messages one after another."""

    schema: str
    table: str
    inside: bool = False
    _at: datetime = _EPOCH
    _mine: set[int] = field(default_factory=set)

    def read(self, message: bytes) -> Iterator[Event]:
        """Say what a message means for the table."""
        kind = message[:1]
        if kind == b"B":
            self.inside = True
            (moment,) = struct.unpack_from(">q", message, 9)
            self._at = _EPOCH + timedelta(microseconds=moment)
        elif kind == b"C":
            self.inside = False
            (end,) = struct.unpack_from(">Q", message, 10)
            yield Commit(lsn(end), self._at)
        elif kind == b"R":
            yield from self._relation(message)
        elif kind == b"T":
            count, _ = struct.unpack_from(">iB", message, 1)
            if self._mine & set(struct.unpack_from(f">{count}I", message, 6)):
                yield Emptied("emptied (truncate)", self._at)
        elif kind in b"IUD" and _U32.unpack_from(message, 1)[0] in self._mine:
            yield _change(message)

    def _relation(self, message: bytes) -> Iterator[Event]:
        (oid,) = _U32.unpack_from(message, 1)
        schema, at = _text(message, 5)
        table, at = _text(message, at)
        self._mine.discard(oid)
        if (schema, table) != (self.schema, self.table):
            return
        self._mine.add(oid)
        (count,) = _U16.unpack_from(message, at + 1)
        at += 3
        columns: dict[str, str] = {}
        for _ in range(count):
            name, at = _text(message, at + 1)
            kind, modifier = struct.unpack_from(">Ii", message, at)
            columns[name] = f"{kind},{modifier}"
            at += 8
        yield Shape(columns)


def _text(message: bytes, at: int) -> tuple[str, int]:
    end = message.index(0, at)
    return message[at:end].decode(), end + 1


def _change(message: bytes) -> Change:
    before: Row | None = None
    at = 5
    if message[at] != _NEW:
        before, at = _row(message, at + 1)
    if message[:1] == b"D":
        return Change(None, before, len(message))
    row, _ = _row(message, at + 1)
    if before is not None:
        # What did not change is told beside it where the table's identity is full.
        pairs = zip(row, before, strict=True)
        row = [old if isinstance(new, Unchanged) and old is not None else new for new, old in pairs]
    return Change(row, before, len(message))


def _row(message: bytes, at: int) -> tuple[list[object], int]:
    (count,) = _U16.unpack_from(message, at)
    at += 2
    row: list[object] = []
    for _ in range(count):
        kind = message[at]
        at += 1
        if kind == _NULL:
            row.append(None)
        elif kind == _SAME:
            row.append(UNCHANGED)
        else:
            (size,) = _I32.unpack_from(message, at)
            at += 4
            row.append(message[at : at + size].decode())
            at += size
    return row, at

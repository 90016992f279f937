"""What a source pushed, kept until the outbox has it."""

import secrets
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Lock

import pyarrow as pa
from pydantic import TypeAdapter

from connectors.base import Page
from connectors.cursor import readable
from kernel import canonical

MOMENT = pa.timestamp("us", tz="UTC")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Value = str | int | float | bool | None
Row = tuple[str, int | None, str | None, *tuple[Value, ...]]
"""The key of what was measured, when in microseconds, the value as text; then the other columns."""
_Last = tuple[int | None, str | None]
_NOTHING: _Last = (None, None)
_NEIGHBOURS = (("time_before", MOMENT), ("value_before", pa.string()), ("time_after", MOMENT))
_MOST_HOLES = 1000
_ROW_BYTES = 1000


@dataclass(frozen=True, slots=True)
class _Place:
    """How far the outbox is: rows taken from one inbox, and the last row of each key."""

    run: str
    at: int
    last: dict[str, _Last]


_PLACE = TypeAdapter(_Place)


def micros(moment: datetime) -> int:
    """Count the microseconds since 1970."""
    return (moment - EPOCH) // _MICROSECOND


class Inbox:
    """Rows and holes in the order in which they came; the same ones until their cursor returns.

    One thread puts, another takes. Each row learns what its key's row before it said.
    """

    def __init__(self, columns: pa.Schema, room: int, cursor: str | None) -> None:
        self._columns = pa.schema([*columns, *_NEIGHBOURS])
        self.room, self._lock = room, Lock()
        self._run = secrets.token_hex(4)
        begun = _loads(cursor)
        self._safe = _Place(self._run, 0, begun.last if begun else {})
        self._given = self._safe
        self._newest = dict(self._safe.last)
        # What each key said before its newest row: there, late rows belong.
        self._earlier: dict[str, _Last] = {}
        self._waiting: deque[Row | str] = deque()
        self._holes = self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Tell whether what comes now should wait where it is."""
        return len(self._waiting) >= self.room or self._bytes > self.room * _ROW_BYTES

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to take."""
        return not self._waiting

    def last_time(self, key: str) -> int | None:
        """Tell when a key was measured last, if it ever was."""
        return self._newest.get(key, (None, None))[0]

    @property
    def newest(self) -> int | None:
        """Tell when anything was measured last."""
        return max((at for at, _ in self._newest.values() if at is not None), default=None)

    def put(self, rows: Iterable[Row], *, late: bool = False) -> None:
        """Add rows; what comes late may belong before the newest row of its key."""
        with self._lock:
            for row in rows:
                newest = self._newest.get(row[0], _NOTHING)
                self._bytes += len(row[2] or "")
                if late and _is_before(row[1], newest[0]):
                    before = self._earlier.get(row[0], _NOTHING)
                    if not _is_before(before[0], row[1]):
                        before = _NOTHING
                    else:
                        self._earlier[row[0]] = (row[1], row[2])
                    self._waiting.append((*row, *before, newest[0]))
                else:
                    self._earlier[row[0]], self._newest[row[0]] = newest, (row[1], row[2])
                    self._waiting.append((*row, *newest, None))

    def hole(self, text: str) -> None:
        """Add that something is missing here."""
        with self._lock:
            self._holes += 1
            if self._holes == _MOST_HOLES:
                text = f"{text} More is missing than can be told."
            if self._holes <= _MOST_HOLES:
                self._waiting.append(text)

    def page(self, cursor: str | None, most: int) -> Page:
        """Take what follows a cursor; what led to it is forgotten."""
        with self._lock:
            self._confirm(_loads(cursor))
            taken = list(islice(self._waiting, most))
            if not taken:
                return Page(None, cursor or _dumps(self._safe), more=False)
            rows = [each for each in taken if not isinstance(each, str)]
            last = dict(self._safe.last)
            for row in rows:
                # What came late is not what the next ones follow.
                if row[-1] is None:
                    last[row[0]] = (row[1], row[2])
            self._given = _Place(self._run, self._safe.at + len(taken), last)
            more = len(self._waiting) > len(taken)
        holes = tuple(each for each in taken if isinstance(each, str))
        return Page(self._table(rows) if rows else None, _dumps(self._given), more, holes)

    def _confirm(self, place: _Place | None) -> None:
        if place and place.run == self._run and place.at > self._safe.at:
            for _ in range(place.at - self._safe.at):
                gone = self._waiting.popleft()
                if not isinstance(gone, str):
                    self._bytes -= len(gone[2] or "")
            self._holes = sum(isinstance(each, str) for each in self._waiting)
            self._safe = self._given

    def _table(self, rows: list[Row]) -> pa.Table:
        columns = zip(*rows, strict=True)
        arrays = [pa.array(c, each.type) for c, each in zip(columns, self._columns, strict=True)]
        return pa.table(arrays, schema=self._columns)


def _is_before(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and one < other


def _dumps(place: _Place) -> str:
    return canonical.dumps({"run": place.run, "at": place.at, "last": place.last}).decode()


def _loads(cursor: str | None) -> _Place | None:
    with readable("what came in between is then unknown"):
        return None if cursor is None else _PLACE.validate_json(cursor)

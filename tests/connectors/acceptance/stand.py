"""A stand: a real source of one kind, made hostile, that the shared suite may change and read."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable

import pyarrow as pa

from connectors.base import ZONE, Connector, StreamPlan
from connectors.mapping import map_rows

ODD = '列 😀 "; drop table thing;--'
KEYS = (
    "plain", "O'Brien", '"quoted"; drop table thing;--', "😀👩\u200d🔧", " blank ", "列 名", "NULL",
    "100%s {x}", "back\\slash", *(f"k{n}" for n in range(6)),
)  # fmt: skip
LONG = "长" * ((10 << 20) // 3)


def quoted(name: str, sign: str = '"') -> str:
    return f"{sign}{name.replace(sign, sign * 2)}{sign}"


_PATIENCE_SECONDS = 15.0
Row = tuple[object, object, object]
"""Key, note, what to do with it."""


class Stand(ABC):
    """One source; what it cannot do it says."""

    plan: StreamPlan[object]
    keys: tuple[str, ...] = KEYS
    # A source that tells what changes while it is listened to: quiet for so long, it is read.
    quiet_seconds = 0.0
    # Whoever comes back is told what he knows again.
    tells_again = False
    has_null_keys = True
    has_deletes = True
    has_long_texts = True

    @abstractmethod
    def open(self) -> Connector[object]:
        """Give another connector, which knows what is on the disk and the cursor."""

    @abstractmethod
    def put(self, key: str | None, note: str) -> None:
        """Write a row, or write it anew."""

    def remove(self, key: str) -> None:
        """Take a row away."""
        raise NotImplementedError

    def note(self, number: int) -> str:
        """Give a text to write."""
        return f"n{number} 🪑\n'x'"


class Reader:
    """Reads as an agent does, and remembers what came."""

    def __init__(self, stand: Stand, *, reopens: bool = False) -> None:
        self.stand, self._reopens = stand, reopens
        self.connector = stand.open()
        self.cursor: str | None = None
        self.rows: list[Row] = []
        # The newest rows, as the source has them.
        self.raw: pa.Table | None = None

    def page(self) -> bool:
        """Read a page; tell whether more wait."""
        page = self.connector.read(self.stand.plan, self.cursor)
        if self._reopens and not self.rows and not self.stand.quiet_seconds:
            # Killed before it was kept, it is read again by one that knows nothing but the cursor.
            self._begin_anew()
            page = self.connector.read(self.stand.plan, self.cursor)
        self.cursor = page.cursor
        self.rows += rows_of(self.stand, page.rows)
        self.raw = self.raw if page.rows is None else page.rows
        # Who passes over what is known is let come to what is not.
        if self._reopens and page.rows is not None:
            self._begin_anew()
        return page.more

    def _begin_anew(self) -> None:
        self.connector.close()
        self.connector = self.stand.open()

    def news(self, between: Callable[[], None] | None = None, *, some: bool = True) -> list[Row]:
        """Read a pass to its end, and until it is quiet behind some rows; give what it brought."""
        before, heard = len(self.rows), time.monotonic()
        patience = _PATIENCE_SECONDS if some and self.stand.quiet_seconds else 0
        for _ in range(1000):
            count = len(self.rows)
            more = self.page()
            if len(self.rows) > count:
                heard, patience = time.monotonic(), self.stand.quiet_seconds
                if between:
                    between()
                    between = None
            if not more:
                quiet = max(patience, self.stand.quiet_seconds)
                if time.monotonic() - heard >= quiet:
                    self.connector.rest(self.stand.plan)
                    return self.rows[before:]
                time.sleep(0.05)
        raise AssertionError("the pass never ends")

    @property
    def state(self) -> dict[object, object]:
        """Give what the source should hold, as far as it was told."""
        known: dict[object, object] = {}
        for key, note, done in self.rows:
            if done == "delete":
                known.pop(key, None)
            else:
                known[key] = note
        return known

    def close(self) -> None:
        self.connector.close()


def rows_of(stand: Stand, rows: pa.Table | None) -> list[Row]:
    """Map rows as the agent does."""
    if rows is None:
        return []
    told = map_rows(rows, stand.plan, ZONE).to_pylist()
    return [(row["key"], row["note"], row["_op"]) for row in told]


def upsert(key: object, note: object) -> Row:
    return (key, note, "upsert")

"""Cuts what a log says into pages; each can be gone on behind, also in a transaction."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from connectors.cdc.log import Change, Commit, Door, Emptied, Event, Row, Shape, Spot
from kernel.errors import ConfigurationError
from kernel.log import logger

# Large values fill a page before its rows do.
PAGE_BYTES = 32 << 20
_DELETE, _UPSERT = "delete", "upsert"


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows, if there are any, the spot behind them, and what the log could not say."""

    rows: pa.Table | None
    spot: Spot
    holes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Held:
    rows: list[Row] = field(default_factory=list)
    ops: list[str] = field(default_factory=list)
    holes: list[str] = field(default_factory=list)
    size: int = 0


class Cutter:
    """Follows a table from a spot on."""

    def __init__(self, door: Door, table: str, keys: Sequence[str], spot: Spot) -> None:
        self._door, self._table, self._keys = door, table, keys
        self._spot, self._skip, self._done = spot, spot.done, 0
        self._columns: dict[str, str] = {}
        self._places: list[int] = []
        self._held = _Held()

    def cut(self, events: Iterable[Event], page_rows: int) -> Generator[tuple[Cut, bool]]:
        """Give pages of about so many rows, with whether more come; the last may have none."""
        for event in events:
            if isinstance(event, Shape):
                if self._held.rows and event.columns != self._columns:
                    yield self._page(), True
                self._take_shape(event.columns)
            elif isinstance(event, Commit):
                self._take_commit(event)
                if event.is_pause:
                    yield self._page(), True
            elif self._is_news():
                self._take(event)
            if len(self._held.rows) >= page_rows or self._held.size >= PAGE_BYTES:
                yield self._page(), True
        yield self._page(), False

    def _take_shape(self, columns: dict[str, str]) -> None:
        if missing := [key for key in self._keys if key not in columns]:
            raise ConfigurationError(
                f"The table has no column {', '.join(missing)} any more.",
                where=f"table {self._table}",
                cure="correct `keys` and the mapping in the preset.",
            )
        before = self._spot.columns
        if before and columns != before:
            logger("cdc").warning("columns changed", table=self._table, columns=list(columns))
            self._tell_new([n for n in columns if _kind(columns[n]) != _kind(before.get(n, ""))])
        self._columns, self._places = columns, [list(columns).index(key) for key in self._keys]
        self._spot = replace(self._spot, columns=columns)

    def _tell_new(self, names: Sequence[str]) -> None:
        if names:
            self._held.holes.append(
                f"The columns {', '.join(names)} of {self._table} are new, or of another type: what"
                " they hold in rows that nobody has written since, the log does not tell."
            )

    def _take_commit(self, commit: Commit) -> None:
        if self._done:
            self._skip = 0
        self._done = 0
        mark = commit.mark or self._spot.mark
        self._spot = replace(self._spot, log=commit.log, done=0, at=commit.at, mark=mark)

    def _is_news(self) -> bool:
        """Tell whether a change was not given before a kill in the middle of its transaction."""
        self._done += 1
        return self._done > self._skip

    def _take(self, event: Change | Emptied) -> None:
        if isinstance(event, Emptied):
            self._held.holes.append(
                f"The table {self._table} was {event.what} at {event.at:%F %T}Z: "
                "what became of its rows then is not told."
            )
            return
        self._held.size += event.size
        before = event.before
        if before is not None and (event.row is None or self._key(before) != self._key(event.row)):
            told = set(self._places)
            self._add([v if at in told else None for at, v in enumerate(before)], _DELETE)
        if event.row is not None:
            self._add(event.row, _UPSERT)

    def _key(self, row: Row) -> list[object]:
        return [row[at] for at in self._places]

    def _add(self, row: Row, op: str) -> None:
        self._held.rows.append(row)
        self._held.ops.append(op)

    def _page(self) -> Cut:
        held, self._held = self._held, _Held()
        # A transaction that was begun before a kill may not have come again yet.
        self._spot = replace(self._spot, done=max(self._done, self._skip))
        if not held.rows:
            return Cut(None, self._spot, tuple(held.holes))
        table = self._door.table(self._columns, held.rows)
        if "_op" in table.column_names:
            table = table.drop_columns(["_op"])
        return Cut(table.append_column("_op", pa.array(held.ops)), self._spot, tuple(held.holes))


def _kind(told: str) -> str:
    """Give a type without its length."""
    return told.partition(",")[0]

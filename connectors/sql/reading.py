"""Reads the rows of a stream behind a place, page by page, no faster than allowed."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import pyarrow as pa

from connectors.cursor import Place, moment
from connectors.sql import query as queries
from connectors.sql.complaints import is_timeout
from connectors.sql.pages import PAGE_BYTES, CrowdedError, Pages, Piece, cut, end_of
from connectors.sql.streams import NATIVE_ERRORS, Database
from connectors.tables import together
from kernel import clock
from kernel.errors import ConfigurationError

_WIDER = 4
_FAILURES: tuple[type[Exception], ...] = (*NATIVE_ERRORS, OSError)


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows in the order of their change, or of their keys alone where none tells that."""

    query: str
    updated: str
    keys: tuple[str, ...]
    # Those that have no time of change, by themselves.
    is_undated: bool = False
    # In the order of their change alone: rows of one moment come as they like.
    by_moment: bool = False

    def at_best(self, place: Place) -> "Asked":
        """Leave the keys out of the order if no place within one moment was reached."""
        is_dated = bool(self.updated) and not self.is_undated
        return replace(self, by_moment=is_dated and {*place[1:]} <= {None})

    @property
    def ordered(self) -> list[str]:
        """Name the columns of the order."""
        if self.by_moment:
            return [self.updated]
        moments = [] if self.is_undated else [self.updated]
        return [*filter(None, moments), *queries.key_names(self.keys)]

    def behind(self, place: Place) -> queries.Query:
        """Ask for what is behind a place."""
        if self.by_moment:
            return queries.select_by_moment(self.query, self.updated, place)
        select = queries.select_undated if self.is_undated else queries.select_behind
        return select(self.query, self.updated, self.keys, place)

    def place(self, table: pa.Table) -> Place:
        """Give the place of the last row, if there is one."""
        return place_of(table, self.keys, "" if self.is_undated else self.updated)


def place_of(table: pa.Table, keys: Sequence[str], updated: str) -> Place:
    """Give the place of the last row, if there is one."""
    if not table.num_rows:
        return ()
    last = table.slice(table.num_rows - 1).to_pylist()[0]
    names = queries.key_names(keys)
    # Without them the rows are in the order of their change alone.
    texts = tuple(str(last[name]) if name in last else None for name in names)
    return (moment(last[updated], updated), *texts) if updated else texts


def without_keys(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Leave out the texts of the keys, which are ours."""
    ours = queries.key_names(keys)
    return table.select([each for each in table.column_names if each not in ours])


class Reader:
    """Asks a database for so many rows at a time."""

    def __init__(self, database: Database, page_rows: int, rows_per_second: int) -> None:
        self._database, self._size, self._most = database, page_rows, rows_per_second

    def behind(self, asked: Asked, place: Place) -> Pages:
        """Read what is behind a place in pages."""
        read = self._streamed if self._database.keeps_readers_apart else self._limited
        began = clock.monotonic()
        with closing(read(asked, place)) as pages:
            for piece in pages:
                require_columns(asked, piece.rows)
                yield piece
                if piece.more and self._most:
                    spent = clock.monotonic() - began
                    clock.sleep(max(0.0, piece.rows.num_rows / self._most - spent))
                    began = clock.monotonic()

    def _streamed(self, asked: Asked, place: Place) -> Pages:
        asked = asked.at_best(place)
        while True:
            is_begun = False
            try:
                with closing(self._database.stream(asked.behind(place), self._size)) as tables:
                    for piece in cut(tables, asked.ordered, self._size, strict=asked.by_moment):
                        yield piece
                        place, is_begun = asked.place(piece.rows) or place, True
            except CrowdedError:
                # Then a page ends within a moment, which takes the order of keys too.
                asked = replace(asked, by_moment=False)
            except _FAILURES as failed:
                # The database counts how slow we are, too: what is behind is asked for anew.
                if not (is_begun and is_timeout(str(failed))):
                    raise
            else:
                return

    def _limited(self, asked: Asked, place: Place) -> Pages:
        limit, most = self._size, PAGE_BYTES
        while True:
            table, is_whole = self._begun(asked.behind(place).limit(limit + 1), most)
            if is_whole and table.num_rows <= limit:
                yield Piece(table, table.slice(table.num_rows))
                return
            if end := end_of(table, asked.ordered, min(limit, table.num_rows - 1)):
                page, limit, most = table.slice(0, end), self._size, PAGE_BYTES
                yield Piece(page, table.slice(end))
                place = asked.place(page)
            else:
                # More rows share one place than a page holds: nulls in the keys.
                limit, most = limit * _WIDER, most * _WIDER

    def _begun(self, select: queries.Query, most: int) -> tuple[pa.Table, bool]:
        """Read an answer until it holds so many bytes; tell whether that is all."""
        read: list[pa.Table] = [pa.table({})]
        with closing(self._database.stream(select, self._size)) as tables:
            for table in tables:
                read.append(table)
                if sum(each.nbytes for each in read) > most:
                    return together(read), False
        return together(read), True

    def all(self, select: queries.Query) -> pa.Table:
        """Read a whole answer."""
        return together([pa.table({}), *self._database.stream(select, self._size)])


def require_columns(asked: Asked, table: pa.Table) -> None:
    """Databases take a name in another spelling, and give the column as they spell it."""
    given = without_keys(table, asked.keys).column_names
    missing = [each for each in (*asked.keys, asked.updated) if each and each not in given]
    if missing and table.num_columns:
        raise ConfigurationError(
            f"The query gives no column {', '.join(missing)}; it gives {', '.join(given)}.",
            where="the preset's stream",
            cure="spell `updated` and `keys` as the query gives them, or rename them with `as`.",
        )

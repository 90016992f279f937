"""Any SQL database: read by keyset pages in the order of change, without writing to it."""

from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pyarrow as pa
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from typing_extensions import override

from connectors import comparing
from connectors.base import Connector, Offer, Page, Sample, Source, StreamPlan
from connectors.cursor import Cursor, Moment, Passed, Window, before, dumps, loads, moment
from connectors.fields import Fields
from connectors.look_back import Digests, news
from connectors.memory import Memory
from connectors.passes import Passes
from connectors.sql import query as queries
from connectors.sql.complaints import plain
from connectors.sql.duck import DuckDatabase
from connectors.sql.pages import Piece
from connectors.sql.reading import Asked, Reader, place_of, require_columns, without_keys
from connectors.sql.streams import NATIVE_ERRORS, Database, parsed, shown
from connectors.tables import together
from kernel import clock
from kernel.errors import ConfigurationError
from kernel.skew import Clock

PAGE_ROWS = 20_000
LOOKBACK_SECONDS = 300
SWEEP_SECONDS = 3600
# As fast as it goes.
ROWS_PER_SECOND = 0
_FEW = 3
# Drivers that come as extras of the installation.
_EXTRAS = {"pymysql": "mysql", "pyodbc": "odbc"}
EXAMPLE = {"url": "postgresql://reader:${NPLUSX_SOURCE_PASSWORD}@192.0.2.10:5432/database"}


@dataclass(frozen=True, slots=True)
class SqlStream:
    """A query, the column that tells when a row last changed, and those that tell rows apart.

    Without such a column all rows are read each time, and compared with what they were.
    """

    query: str
    updated: str
    keys: tuple[str, ...]
    # Whether rows can vanish: then all keys are asked for now and then.
    deletes: bool = False


@dataclass(frozen=True, slots=True)
class SqlSource:
    """A database, and how it is read."""

    url: str
    page_rows: int = PAGE_ROWS
    lookback_seconds: int = LOOKBACK_SECONDS
    sweep_seconds: int = SWEEP_SECONDS
    rows_per_second: int = ROWS_PER_SECOND


_Plan = StreamPlan[SqlStream]


def stream_of(fields: Fields) -> SqlStream:
    """Read what a preset says of a stream."""
    return SqlStream(
        fields.text("query"),
        fields.text("updated", ""),
        fields.texts("keys"),
        deletes=fields.flag("deletes", default=False),
    )


def way_of(fields: Fields) -> SqlSource:
    """Read what an agent's file says of a database."""
    return SqlSource(
        fields.text("url"),
        fields.whole("page_rows", PAGE_ROWS),
        fields.whole("lookback_seconds", LOOKBACK_SECONDS),
        fields.whole("sweep_seconds", SWEEP_SECONDS),
        fields.whole("rows_per_second", ROWS_PER_SECOND, least=0),
    )


def open_source(source: Source[SqlSource]) -> "SqlConnector":
    """Get ready to read a database; nothing is asked of it yet."""
    return SqlConnector(source)


class SqlConnector(Connector[SqlStream]):
    """Reads rows in the order of their last change, or all; those changed again come again."""

    def __init__(self, source: Source[SqlSource]) -> None:
        self._source, self._way = source, source.way
        self._zone = ZoneInfo(source.zone)
        url = parsed(source.way.url, source.id)
        self._where = f"source {source.id}, {shown(url)}"
        self._passes = Passes()
        self._digests: dict[str, Digests] = {}
        try:
            is_duck = url.get_backend_name() == "duckdb"
            self._database = (DuckDatabase if is_duck else Database)(url, source.zone)
            self._reader = Reader(self._database, self._way.page_rows, self._way.rows_per_second)
        except (SQLAlchemyError, ImportError) as wrong:
            extra = _EXTRAS.get(getattr(wrong, "name", None) or "")
            raise ConfigurationError(
                f"There is no driver for this kind of database: {wrong}.",
                where=self._where,
                cure=f"pip install 'nplusx[{extra}]'"
                if extra
                else "write postgresql://… or sqlite:///…, or install the driver.",
            ) from wrong

    @override
    def read(self, plan: _Plan, cursor: str | None) -> Page:
        return self._passes.read(plan.contract, cursor, lambda at: self._pass(plan, loads(at)))

    def _pass(self, plan: _Plan, at: Cursor) -> Generator[Page]:
        """Read from a place to the end, a page at a time."""
        how, memory = plan.how, self._memory(plan)
        memory.forget_all_but(at.needed)
        with self._asking(plan.contract):
            if how.updated and at.fresh:
                at = yield from self._undated(plan, at)
            read = self._by_change
            if not how.updated:
                # The same all through a pass, and perhaps large.
                read = partial(self._by_content, memory.recall(at.known))
            with closing(self._reader.behind(_asked(plan), at.place)) as pages:
                for piece in pages:
                    rows, at = read(plan, at, piece)
                    holes = _holes(plan, at, more=piece.more)
                    yield Page(_together(rows), dumps(at), piece.more, holes)

    def _undated(self, plan: _Plan, at: Cursor) -> Generator[Page, None, Cursor]:
        """Read all rows that have no time of change; tell those that are not as they were."""
        inner = at.undated or Cursor()
        known = self._memory(plan).recall(inner.known)
        asked = replace(_asked(plan), is_undated=True)
        with closing(self._reader.behind(asked, inner.place)) as pages:
            for piece in pages:
                rows, inner = self._compared(known, plan, inner, piece)
                is_kept = bool(inner.known or inner.now)
                at = replace(at, undated=inner if is_kept else None)
                if piece.more or any(each.num_rows for each in rows):
                    yield Page(_together(rows), dumps(at), more=True)
        return at

    def _memory(self, plan: _Plan) -> Memory:
        return Memory(self._source.memory / plan.contract)

    def _by_change(self, plan: _Plan, at: Cursor, piece: Piece) -> tuple[list[pa.Table], Cursor]:
        """Leave out what was seen in the pass before, and note what the next one will see."""
        how, now = plan.how, clock.now()
        window = Window(self._way.lookback_seconds, now.astimezone(self._zone))
        rows: list[pa.Table] = []
        told_before = self._digests.setdefault(plan.contract, Digests())
        plain = replace(piece, rows=without_keys(piece.rows, how.keys))
        told, seen = news(plain, how.updated, at, window, told_before)
        if told.num_rows:
            rows.append(told)
        passed = _passed(piece.rows, plan, window)
        after = at.advance(passed, seen, more=piece.more, window=window)
        after = replace(after, known=at.known, swept=at.swept, undated=at.undated)
        if not how.deletes:
            return rows, after
        memory = self._memory(plan)
        kept = [memory.keep(comparing.view_of(each, how.keys)) for each in rows]
        after = replace(after, known=(*after.known, *kept))
        if piece.more or not _is_due(at.swept, now, self._way.sweep_seconds):
            return rows, after
        return self._swept(plan, rows, replace(after, swept=now))

    def _swept(
        self, plan: _Plan, rows: list[pa.Table], at: Cursor
    ) -> tuple[list[pa.Table], Cursor]:
        """Ask for all keys; those that were known and are no more are deletes."""
        memory, keys = self._memory(plan), plan.how.keys
        known = memory.recall(at.known)
        if known is None:
            return rows, at
        present = self._reader.all(queries.select_keys(plan.how.query, keys))
        deletes = self._gone(plan, known, present)
        present = present.replace_schema_metadata(known.schema.metadata)
        return [*rows, *deletes], replace(at, known=(memory.keep(present),))

    def _by_content(
        self, known: pa.Table | None, plan: _Plan, at: Cursor, piece: Piece
    ) -> tuple[list[pa.Table], Cursor]:
        """Tell what is not as it was when the table was last read, and what is gone."""
        rows, after = self._compared(known, plan, at, piece)
        if piece.more:
            return rows, after
        present = self._memory(plan).recall(after.known)
        deletes = self._gone(plan, known, pa.table({}) if present is None else present)
        return [*rows, *deletes], after

    def _compared(
        self, known: pa.Table | None, plan: _Plan, at: Cursor, piece: Piece
    ) -> tuple[list[pa.Table], Cursor]:
        """Leave out what is as it was when the rows were last read."""
        keys, memory = plan.how.keys, self._memory(plan)
        now, rows = at.now, []
        place = place_of(piece.rows, keys, "") or at.place
        if piece.rows.num_rows:
            told = without_keys(piece.rows, keys)
            view = comparing.view_of(told, keys)
            rows = [comparing.changed(told, view, known)]
            now = (*now, memory.keep(view))
        if piece.more:
            return rows, Cursor(place, fresh=False, known=at.known, now=now)
        return rows, Cursor(known=now)

    def _gone(self, plan: _Plan, known: pa.Table | None, present: pa.Table) -> list[pa.Table]:
        where = f"{self._where}, stream {plan.contract}"
        cure = f"remove the folder {self._source.memory / plan.contract}"
        return comparing.gone(known, present, plan.how.keys, where, cure)

    @override
    def rest(self, plan: _Plan, /) -> None:
        self._passes.rest(plan.contract)

    @override
    def sample(self, plan: _Plan) -> Sample:
        how = plan.how
        behind = queries.select_behind(how.query, how.updated, how.keys, ())
        with self._asking(plan.contract):
            rows, undated = self._few(behind), None
            if rows is not None:
                require_columns(_asked(plan), rows)
            if how.updated:
                undated = self._few(queries.select_undated(how.query, how.updated, how.keys, ()))
        table = rows and without_keys(rows, how.keys)
        if not undated:
            return Sample(table)
        return Sample(
            table,
            f"Rows have no {how.updated}: they are read, their changes are found slowly.",
            "let the source fill that column.",
        )

    def _few(self, select: queries.Query) -> pa.Table | None:
        with closing(self._database.stream(select.limit(_FEW), _FEW)) as asked:
            return next(asked, None)

    @override
    def discover(self) -> Iterator[Offer]:
        with self._asking("its catalogue"):
            yield from self._database.catalogue()

    @override
    def clock(self) -> Clock | str:
        with self._asking("its clock"):
            return self._database.clock()

    @override
    def product(self) -> str:
        with self._asking("its release"):
            return self._database.product()

    @override
    def close(self) -> None:
        self._passes.close()
        self._database.close()

    @contextmanager
    def _asking(self, subject: str) -> Iterator[None]:
        """Say in plain words what the database complains of."""
        where = f"{self._where}, stream {subject}"
        try:
            yield
        except NoSuchModuleError as missing:
            raise ConfigurationError(
                str(missing), where=where, cure="install the driver."
            ) from missing
        except SQLAlchemyError as failed:
            said = failed.orig if isinstance(failed, DBAPIError) else failed
            raise plain(str(said), where) from failed
        except NATIVE_ERRORS as failed:
            raise plain(str(failed), where) from failed
        except (OSError, pa.ArrowException) as broken:
            # A native answer that breaks off in the middle comes as what Arrow makes of it.
            raise plain(str(broken), where) from broken


def _asked(plan: _Plan) -> Asked:
    return Asked(plan.how.query, plan.how.updated, plan.how.keys)


def _passed(table: pa.Table, plan: _Plan, window: Window) -> Passed:
    """Give the places of the last row, and of the last that is not from the future."""
    keys, updated = plan.how.keys, plan.how.updated
    place = place_of(table, keys, updated)
    if not place or not before(window.now_as(last := moment(place[0], updated)), last):
        return Passed(place, place)
    moments = [moment(each, updated) for each in table.column(updated).to_pylist()]
    until = bisect_right(moments, window.now_as(moments[-1]))
    return Passed(place, place_of(table.slice(0, until), keys, updated))


def _holes(plan: _Plan, at: Cursor, *, more: bool) -> tuple[str, ...]:
    """Tell that rows are passed over because too many others are from the future."""
    if more or at.crowded is None or at.place == at.present or at.seen:
        return ()
    told = (
        f"{plan.contract}: more rows than are remembered have times in the future, the last one "
        f"{at.newest}: what changes before then is not read. Let the source mend those times."
    )
    return (told,)


def _together(rows: Sequence[pa.Table]) -> pa.Table | None:
    found = [each for each in rows if each.num_rows]
    return together(found) if found else None


def _is_due(last: Moment | None, now: datetime, seconds: int) -> bool:
    return not isinstance(last, datetime) or now - last >= timedelta(seconds=seconds)

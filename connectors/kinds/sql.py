"""Any SQL database: read by keyset pages in the order of change, without writing to it."""

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedPrimaryKeyConstraint
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from typing_extensions import override

from connectors import comparing
from connectors.base import Connector, Offer, Page, Sample, Source, StreamPlan
from connectors.cursor import Cursor, Moment, Place, Window, dumps, loads, moment
from connectors.fields import Fields
from connectors.look_back import news
from connectors.memory import Memory
from connectors.passes import Passes
from connectors.sql import query as queries
from connectors.sql.complaints import plain
from connectors.sql.pages import cut, end_of
from connectors.sql.streams import Database, NativeError, parsed, shown
from kernel import clock
from kernel.errors import ConfigurationError

PAGE_ROWS = 20_000
LOOKBACK_SECONDS = 300
SWEEP_SECONDS = 3600
_FEW, _WIDER = 3, 4
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
        try:
            self._database = Database(url, source.zone)
        except (SQLAlchemyError, ImportError) as wrong:
            raise ConfigurationError(
                f"There is no driver for this kind of database: {wrong}.",
                where=self._where,
                cure="write postgresql://… or sqlite:///…, or install the driver.",
            ) from wrong

    @override
    def read(self, plan: _Plan, cursor: str | None) -> Page:
        return self._passes.read(plan.contract, cursor, lambda at: self._pass(plan, loads(at)))

    def _pass(self, plan: _Plan, at: Cursor) -> Generator[Page]:
        """Read from a place to the end, a page at a time."""
        how, memory = plan.how, self._memory(plan)
        memory.forget_all_but((*at.known, *at.now))
        read = self._by_change
        if not how.updated:
            # The same all through a pass, and perhaps large.
            read = partial(self._by_content, memory.recall(at.known))
        with self._asking(plan.contract), closing(self._behind(plan, at.place)) as pages:
            for table, more in pages:
                rows, at = read(plan, at, table, more=more)
                found = [each for each in rows if each.num_rows]
                told = pa.concat_tables(found, promote_options="permissive") if found else None
                yield Page(told, dumps(at), more)

    def _memory(self, plan: _Plan) -> Memory:
        return Memory(self._source.memory / plan.contract)

    def _behind(self, plan: _Plan, place: Place) -> Generator[tuple[pa.Table, bool]]:
        """Read what is behind a place in pages, with whether more come."""
        how, size = plan.how, self._way.page_rows
        ordered = [*filter(None, [how.updated]), *queries.key_names(how.keys)]
        if self._database.keeps_readers_apart:
            behind = queries.select_behind(how.query, how.updated, how.keys, place)
            with closing(self._database.stream(behind, size)) as asked:
                yield from cut(asked, ordered, size)
            return
        limit = size
        while True:
            behind = queries.select_behind(how.query, how.updated, how.keys, place)
            table = self._all(behind.limit(limit + 1))
            if table.num_rows <= limit:
                yield table, False
                return
            if end := end_of(table, ordered, limit):
                page, limit = table.slice(0, end), size
                yield page, True
                place = _place(page, plan)
            else:
                # More rows share one place than a page holds: nulls in the keys.
                limit *= _WIDER

    def _all(self, select: queries.Query) -> pa.Table:
        asked = self._database.stream(select, self._way.page_rows)
        return pa.concat_tables([pa.table({}), *asked], promote_options="permissive")

    def _by_change(
        self, plan: _Plan, at: Cursor, table: pa.Table, *, more: bool
    ) -> tuple[list[pa.Table], Cursor]:
        """Leave out what was seen in the pass before, and note what the next one will see."""
        how, now = plan.how, clock.now()
        window = Window(self._way.lookback_seconds, now.astimezone(self._zone))
        seen: dict[str, Moment | None] = {}
        rows: list[pa.Table] = []
        late = []
        if at.fresh:
            undated = queries.select_undated(how.query, how.updated, how.keys)
            late = [self._all(undated.limit(self._way.page_rows))]
        for each in (*late, table):
            told, noted = news(each, how.updated, at, window)
            seen |= noted
            if told.num_rows:
                rows.append(told.drop_columns(queries.key_names(how.keys)))
        place = _place(table, plan) if table.num_rows else ()
        after = at.advance(place, seen, more=more, window=window)
        after = replace(after, known=at.known, swept=at.swept)
        if not how.deletes:
            return rows, after
        memory = self._memory(plan)
        kept = [memory.keep(comparing.view_of(each, how.keys)) for each in rows]
        after = replace(after, known=(*after.known, *kept))
        if more or not _is_due(at.swept, now, self._way.sweep_seconds):
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
        present = self._all(queries.select_keys(plan.how.query, keys))
        deletes = self._gone(plan, known, present)
        present = present.replace_schema_metadata(known.schema.metadata)
        return [*rows, *deletes], replace(at, known=(memory.keep(present),))

    def _by_content(
        self, known: pa.Table | None, plan: _Plan, at: Cursor, table: pa.Table, *, more: bool
    ) -> tuple[list[pa.Table], Cursor]:
        """Leave out what is as it was when the table was last read."""
        keys, memory = plan.how.keys, self._memory(plan)
        now, rows = at.now, []
        place = _place(table, plan) if table.num_rows else at.place
        if table.num_rows:
            told = table.drop_columns(queries.key_names(keys))
            view = comparing.view_of(told, keys)
            rows = [comparing.changed(told, view, known)]
            now = (*now, memory.keep(view))
        if more:
            return rows, Cursor(place, fresh=False, known=at.known, now=now)
        present = memory.recall(now)
        deletes = self._gone(plan, known, pa.table({}) if present is None else present)
        return [*rows, *deletes], Cursor(known=now)

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
            if how.updated:
                undated = self._few(queries.select_undated(how.query, how.updated, how.keys))
        table = rows and rows.drop_columns(queries.key_names(how.keys))
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
        with self._asking("its catalogue"), self._database.engine.connect() as connection:
            catalogue = sa.inspect(connection)
            for table in sorted([*catalogue.get_table_names(), *catalogue.get_view_names()]):
                columns = {each["name"]: each["type"] for each in catalogue.get_columns(table)}
                yield self._offer(table, columns, catalogue.get_pk_constraint(table))

    def _offer(
        self,
        table: str,
        columns: "Mapping[str, sa.types.TypeEngine[object]]",
        key: "ReflectedPrimaryKeyConstraint",
    ) -> Offer:
        named: list[sa.ColumnClause[object]] = [sa.column(name) for name in columns]
        select = sa.select(*named).select_from(sa.table(table))
        moments = [n for n, kind in columns.items() if isinstance(kind, sa.DateTime)]
        # The time of a change is called so or similar in every product seen.
        likely = [n for n in moments if re.search(r"(?i)upd|modif|chang|write|修改|更新", n)]
        how: dict[str, object] = {
            "query": " ".join(str(select.compile(self._database.engine)).split()),
            "keys": list(key["constrained_columns"]) or list(columns)[:1],
        }
        if moments:
            how["updated"] = (likely or moments)[0]
        return Offer(table, {name: str(kind) for name, kind in columns.items()}, how)

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
        except NativeError as failed:
            raise plain(str(failed), where) from failed
        except (OSError, pa.ArrowException) as broken:
            # A native answer that breaks off in the middle comes as what Arrow makes of it.
            raise plain(str(broken), where) from broken


def _place(table: pa.Table, plan: _Plan) -> Place:
    """Give the place of the last row."""
    last = table.slice(table.num_rows - 1).to_pylist()[0]
    keys = tuple(str(last[name]) for name in queries.key_names(plan.how.keys))
    updated = plan.how.updated
    return (moment(last[updated], updated), *keys) if updated else keys


def _is_due(last: Moment | None, now: datetime, seconds: int) -> bool:
    return not isinstance(last, datetime) or now - last >= timedelta(seconds=seconds)

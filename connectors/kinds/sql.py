"""Any SQL database: read by keyset pages in the order of change, without writing to it."""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedPrimaryKeyConstraint
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from typing_extensions import override

from connectors.base import Connector, Offer, Page, Sample, Source, StreamPlan
from connectors.cursor import Cursor, Moment, Place, Window, dumps, loads, moment
from connectors.fields import Fields
from connectors.look_back import news
from connectors.sql import query as queries
from connectors.sql.complaints import plain
from connectors.sql.streams import Database, NativeError
from kernel import clock
from kernel.errors import ConfigurationError

PAGE_ROWS = 20_000
LOOKBACK_SECONDS = 300
_FEW, _WIDER = 3, 4


@dataclass(frozen=True, slots=True)
class SqlStream:
    """A query, the column that tells when a row last changed, and those that tell rows apart."""

    query: str
    updated: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SqlSource:
    """A database, and how it is read."""

    url: str
    page_rows: int = PAGE_ROWS
    lookback_seconds: int = LOOKBACK_SECONDS


_Plan = StreamPlan[SqlStream]


def stream_of(fields: Fields) -> SqlStream:
    """Read what a preset says of a stream."""
    return SqlStream(fields.text("query"), fields.text("updated"), fields.texts("keys"))


def way_of(fields: Fields) -> SqlSource:
    """Read what an agent's file says of a database."""
    return SqlSource(
        fields.text("url"),
        fields.whole("page_rows", PAGE_ROWS),
        fields.whole("lookback_seconds", LOOKBACK_SECONDS),
    )


def open_source(source: Source[SqlSource]) -> "SqlConnector":
    """Get ready to read a database; nothing is asked of it yet."""
    return SqlConnector(source)


class SqlConnector(Connector[SqlStream]):
    """Reads rows in the order of their last change; those changed again come again."""

    def __init__(self, source: Source[SqlSource]) -> None:
        self._source, self._way = source, source.way
        self._zone = ZoneInfo(source.zone)
        url = _parse(source)
        self._where = f"source {source.id}, {url.render_as_string(hide_password=True)}"
        # Of each stream the pass that is under way, and the cursor at which it stands.
        self._passes: dict[str, tuple[str | None, Generator[Page]]] = {}
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
        at, pages = self._passes.pop(plan.contract, (None, None))
        if pages is None or at != cursor:
            if pages is not None:
                pages.close()
            pages = self._pass(plan, loads(cursor))
        page = next(pages)
        if page.more:
            self._passes[plan.contract] = page.cursor, pages
        else:
            pages.close()
        return page

    def _pass(self, plan: _Plan, at: Cursor) -> Generator[Page]:
        """Read from a place to the end, a page at a time."""
        how, size = plan.how, self._way.page_rows
        with self._asking(plan.contract):
            late: list[pa.Table] = []
            if at.fresh:
                undated = queries.select_undated(how.query, how.updated, how.keys).limit(size)
                late = list(self._database.stream(undated, size))
            with closing(self._behind(plan, at.place)) as pages:
                for table, more in pages:
                    page, at = self._page(plan, at, late, table, more=more)
                    late = []
                    yield page

    def _behind(self, plan: _Plan, place: Place) -> Generator[tuple[pa.Table, bool]]:
        """Read what is behind a place in pages, with whether more come."""
        how, size = plan.how, self._way.page_rows
        ordered = [how.updated, *queries.key_names(how.keys)]
        if self._database.keeps_readers_apart:
            behind = queries.select_behind(how.query, how.updated, how.keys, place)
            with closing(self._database.stream(behind, size)) as asked:
                yield from _cut(asked, ordered, size)
            return
        limit = size
        while True:
            behind = queries.select_behind(how.query, how.updated, how.keys, place)
            asked = self._database.stream(behind.limit(limit + 1), limit + 1)
            table = pa.concat_tables([pa.table({}), *asked], promote_options="permissive")
            if table.num_rows <= limit:
                yield table, False
                return
            if end := _end(table, ordered, limit):
                page, limit = table.slice(0, end), size
                yield page, True
                place = _place(page, plan)
            else:
                # More rows share one place than a page holds: nulls in the keys.
                limit *= _WIDER

    def _page(
        self, plan: _Plan, at: Cursor, late: list[pa.Table], table: pa.Table, *, more: bool
    ) -> tuple[Page, Cursor]:
        """Leave out what was seen in the pass before, and note what the next one will see."""
        window = Window(self._way.lookback_seconds, clock.now().astimezone(self._zone))
        seen: dict[str, Moment | None] = {}
        found: list[pa.Table] = []
        for each in (*late, table):
            rows, noted = news(each, plan.how.updated, at, window)
            seen |= noted
            if rows.num_rows:
                found.append(rows.drop_columns(queries.key_names(plan.how.keys)))
        place = _place(table, plan) if table.num_rows else ()
        after = at.advance(place, seen, more=more, window=window)
        told = pa.concat_tables(found, promote_options="permissive") if found else None
        return Page(told, dumps(after), more), after

    @override
    def sample(self, plan: _Plan) -> Sample:
        how = plan.how
        behind = queries.select_behind(how.query, how.updated, how.keys, ())
        with self._asking(plan.contract):
            rows = self._few(behind)
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
        for _, pages in self._passes.values():
            pages.close()
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


def _parse(source: Source[SqlSource]) -> sa.URL:
    try:
        url = sa.make_url(source.way.url)
    except ArgumentError as wrong:
        raise ConfigurationError(
            "The address of the source is not of the form dialect://user@host/database.",
            where=f"source {source.id}",
            cure="correct the source's url, or the environment variable that it names.",
        ) from wrong
    # SQLAlchemy's own choice of driver differs between its versions.
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _cut(
    asked: Iterator[pa.Table], ordered: Sequence[str], size: int
) -> Iterator[tuple[pa.Table, bool]]:
    """Cut an answer into pages, with whether more come; all but the last end between two places."""
    held = pa.table({})
    for table in asked:
        held = pa.concat_tables([held, table], promote_options="permissive")
        while held.num_rows > size and (end := _end(held, ordered, size)):
            yield held.slice(0, end), True
            held = held.slice(end)
    yield held, False


def _end(table: pa.Table, ordered: Sequence[str], size: int) -> int:
    """Find the last row, of so many, behind which another place begins; else the first one."""
    ends = _ends(table.slice(0, size + 1), ordered)
    if len(ends):
        return int(ends[-1].as_py())
    # More rows share one place than a page holds: nulls in the keys.
    ends = _ends(table, ordered)
    return int(ends[0].as_py()) if len(ends) else 0


def _ends(table: pa.Table, ordered: Sequence[str]) -> pa.Array:
    """List how many rows there are before each change of place."""
    changes = pa.array([False] * (table.num_rows - 1))
    for name in ordered:
        column = pc.fill_null(table.column(name).cast(pa.string()), "").combine_chunks()
        changes = pc.or_(changes, pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)))
    return pc.add(pc.indices_nonzero(changes), 1)


def _place(table: pa.Table, plan: _Plan) -> Place:
    """Give the place of the last row."""
    last = table.slice(table.num_rows - 1).to_pylist()[0]
    keys = (str(last[name]) for name in queries.key_names(plan.how.keys))
    return (moment(last[plan.how.updated], plan.how.updated), *keys)

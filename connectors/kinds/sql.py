"""The one door to SQLAlchemy: reads any SQL database by keyset pages, without writing to it."""

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedPrimaryKeyConstraint
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from typing_extensions import override

from connectors.base import Connector, Offer, Page, Sample, Source, StreamPlan
from connectors.cursor import Moment, Place, SeenRow, Window, dumps, loads
from connectors.fields import Fields
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError

PAGE_ROWS = 5000
LOOKBACK_SECONDS = 300


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
Row = Mapping[str, object]
Query = sa.Select[*tuple[object, ...]]
_KEY = "nplusx_key_{}"
_CONNECT_SECONDS = 10
_STATEMENT_SECONDS = 120
_WIDER = 4
# What databases say, what is wrong, what to do; the address itself is added by the caller.
_COMPLAINTS: tuple[tuple[str, type[NplusxError], str, str], ...] = (
    (
        r"password authentication failed|login failed|no password supplied|role .* does not exist",
        ConfigurationError,
        "The source refuses the user or the password.",
        "correct the user in source.url, and the password in its environment variable.",
    ),
    (
        r"no such table|relation .* does not exist|invalid object name|table .* doesn't exist",
        ConfigurationError,
        "The source has no such table.",
        "check the product's version, and that source.url names its business database.",
    ),
    (
        r"no such column|column .* does not exist|invalid column name|unknown column",
        ConfigurationError,
        "A table of the source has no such column.",
        "check that the preset fits the product's version.",
    ),
    (
        r"permission denied",
        ConfigurationError,
        "The source does not let this user read.",
        "grant the user SELECT on the tables that the preset names.",
    ),
    (
        r"database .* does not exist|unknown database|cannot open database",
        ConfigurationError,
        "The source has no such database.",
        "correct the database in source.url.",
    ),
    (
        r"ambiguous",
        ConfigurationError,
        "The query gives two columns one name.",
        "rename one of them with `as`.",
    ),
    (
        r"syntax error",
        ConfigurationError,
        "The source does not understand the preset's query.",
        "check that the preset is written for this kind of database.",
    ),
    (
        r"statement timeout|canceling statement",
        DependencyUnavailableError,
        "The source took too long to answer.",
        "give the table an index on its time of change, or read when the system is less busy.",
    ),
)


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
        self._source = source
        self._zone = ZoneInfo(source.zone)
        self._url = _parse(source)
        self._where = f"source {source.id}, {self._url.render_as_string(hide_password=True)}"
        try:
            self._engine = _engine(self._url, source.zone)
        except (SQLAlchemyError, ImportError) as wrong:
            raise ConfigurationError(
                f"There is no driver for this kind of database: {wrong}.",
                where=self._where,
                cure="write postgresql://… or sqlite:///…, or install the driver.",
            ) from wrong

    @override
    def read(self, plan: _Plan, cursor: str | None) -> Page:
        at = loads(cursor)
        with self._asking(plan.contract) as connection:
            late = _fetch(connection, self._undated(plan), plan) if at.fresh else []
            rows, more = self._page(connection, plan, at.place)
        found = [*late, *rows]
        noted = [_seen_row(row, plan) for row in found]
        window = Window(self._source.way.lookback_seconds, clock.now().astimezone(self._zone))
        after = at.advance(noted, more=more, window=window)
        fresh = [row for row, note in zip(found, noted, strict=True) if note.digest not in at.seen]
        return Page(_table(fresh) if fresh else None, dumps(after), more)

    @override
    def sample(self, plan: _Plan) -> Sample:
        with self._asking(plan.contract) as connection:
            rows = _fetch(connection, self._select(plan).limit(1), plan)
            undated = _fetch(connection, self._undated(plan).limit(1), plan)
        table = _table(rows) if rows else None
        if not undated:
            return Sample(table)
        return Sample(
            table,
            f"Rows have no {plan.how.updated}: they are read, their changes are found slowly.",
            "let the source fill that column.",
        )

    @override
    def discover(self) -> Iterator[Offer]:
        with self._asking("its catalogue") as connection:
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
            "query": " ".join(str(select.compile(self._engine)).split()),
            "keys": list(key["constrained_columns"]) or list(columns)[:1],
        }
        if moments:
            how["updated"] = (likely or moments)[0]
        return Offer(table, {name: str(kind) for name, kind in columns.items()}, how)

    @override
    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _asking(self, subject: str) -> Iterator[sa.Connection]:
        """Hold a connection, and say in plain words what the database complains of."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as failed:
            raise _plain(failed, f"{self._where}, stream {subject}") from failed

    def _select(self, plan: _Plan) -> Query:
        """Select the plan's rows with their keys as texts, which compare the same everywhere."""
        keys = [each.label(_KEY.format(at)) for at, each in enumerate(_key_texts(plan))]
        # A colon in the preset's query is the database's, never a parameter of ours.
        query = plan.how.query.strip().rstrip(";").replace(":", "\\:")
        source = sa.text(f"({query}) as source")
        return sa.select(sa.literal_column("source.*")).add_columns(*keys).select_from(source)

    def _undated(self, plan: _Plan) -> Query:
        """Select rows that no cursor would ever reach; the gate must see them too."""
        select = self._select(plan).where(sa.column(plan.how.updated).is_(None))
        return select.order_by(*_key_texts(plan)).limit(self._source.way.page_rows)

    def _page(self, connection: sa.Connection, plan: _Plan, place: Place) -> tuple[list[Row], bool]:
        """Fetch a page that ends between two places, so that the next can begin behind it."""
        order = [sa.column(plan.how.updated), *_key_texts(plan)]
        select = self._select(plan).where(sa.column(plan.how.updated).is_not(None))
        if place:
            select = select.where(_behind(order, place))
        size = self._source.way.page_rows
        while True:
            rows = _fetch(connection, select.order_by(*order).limit(size + 1), plan)
            if len(rows) <= size:
                return rows, False
            last = _place(rows[-1], plan)
            whole = [row for row in rows if _place(row, plan) != last]
            if whole:
                return whole, True
            # More rows share one place than a page holds: nulls in the keys, or a bulk load.
            size *= _WIDER


def _parse(source: Source[SqlSource]) -> sa.URL:
    try:
        url = sa.make_url(source.way.url)
    except ArgumentError as wrong:
        raise ConfigurationError(
            "The address of the source is not of the form dialect://user@host/database.",
            where=f"source {source.id}",
            cure="correct source.url, or the environment variable that it names.",
        ) from wrong
    # SQLAlchemy's own choice of driver differs between its versions.
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _engine(url: sa.URL, zone: str) -> sa.Engine:
    """Make an engine whose sessions cannot write, where the database has such sessions."""
    dialect = url.get_backend_name()
    if dialect == "sqlite" and url.database:
        address = f"file:{quote(str(Path(url.database).absolute()))}?mode=ro"
        return sa.create_engine(
            url,
            creator=lambda: sqlite3.connect(address, uri=True, timeout=_CONNECT_SECONDS),
            poolclass=sa.NullPool,
        )
    if dialect == "postgresql":
        options = (
            f"-c default_transaction_read_only=on -c timezone={zone} "
            f"-c statement_timeout={_STATEMENT_SECONDS * 1000}"
        )
        arguments = {"options": options, "connect_timeout": _CONNECT_SECONDS}
        return sa.create_engine(url, connect_args=arguments, pool_pre_ping=True, pool_size=1)
    return sa.create_engine(url, pool_pre_ping=True, pool_size=1)


def _plain(failed: SQLAlchemyError, where: str) -> NplusxError:
    """Say what a database complains of, and what to do."""
    if isinstance(failed, NoSuchModuleError):
        return ConfigurationError(str(failed), where=where, cure="install the driver.")
    said = str(failed.orig if isinstance(failed, DBAPIError) else failed).strip()
    first = said.splitlines()[0] if said else type(failed).__name__
    for pattern, kind, what, cure in _COMPLAINTS:
        if re.search(pattern, said, re.IGNORECASE):
            return kind(f"{what} ({first})", where=where, cure=cure)
    return DependencyUnavailableError(
        f"The source cannot be read: {first}.",
        where=where,
        cure="check that the database runs, that this machine may reach it, and source.url.",
    )


def _fetch(connection: sa.Connection, select: Query, plan: _Plan) -> list[Row]:
    result = connection.execute(select)
    names = list(result.keys())
    if len(set(names)) != len(names):
        raise ConfigurationError(
            "The query gives two columns one name.",
            where=f"preset stream {plan.contract}",
            cure="rename one of them with `as`.",
        )
    return [dict(zip(names, row, strict=True)) for row in result]


def _key_texts(plan: _Plan) -> "list[sa.ColumnElement[str]]":
    return [sa.func.coalesce(sa.cast(sa.column(key), sa.String), "") for key in plan.how.keys]


def _behind(
    order: "Sequence[sa.ColumnElement[object] | sa.ColumnElement[str]]", place: Place
) -> "sa.ColumnElement[bool]":
    """Compare places column by column: not every database compares tuples."""
    if len(place) == 1:
        return order[0] >= place[0]
    choices = []
    for at, (column, value) in enumerate(zip(order, place, strict=True)):
        same = [order[before] == place[before] for before in range(at)]
        choices.append(sa.and_(*same, column > value))
    return sa.or_(*choices)


def _place(row: Row, plan: _Plan) -> Place:
    keys = tuple(str(row[_KEY.format(at)]) for at in range(len(plan.how.keys)))
    return (_moment(row[plan.how.updated], plan), *keys)


def _moment(value: object, plan: _Plan) -> Moment:
    if isinstance(value, datetime | date | Decimal | int | str):
        return value
    raise ConfigurationError(
        f"{plan.how.updated} holds a {type(value).__name__}, which is not a moment.",
        where=f"preset stream {plan.contract}",
        cure="name a column of dates, times, numbers or texts as the stream's `updated`.",
    )


def _seen_row(row: Row, plan: _Plan) -> SeenRow:
    digest = hashlib.blake2b(repr(tuple(row.values())).encode(), digest_size=12).hexdigest()
    if row[plan.how.updated] is None:
        return SeenRow(digest, None, ())
    return SeenRow(digest, _moment(row[plan.how.updated], plan), _place(row, plan))


def _table(rows: Sequence[Row]) -> pa.Table:
    """Put rows into columns, leaving out what was only there for paging."""
    names = [name for name in rows[0] if not re.fullmatch(_KEY.format(r"\d+"), name)]
    return pa.table({name: _column([row[name] for row in rows]) for name in names})


def _column(values: list[object]) -> pa.Array:
    """Make an Arrow column; a column of mixed kinds becomes text, for the gate to judge."""
    try:
        return pa.array([bytes(v) if isinstance(v, memoryview) else v for v in values])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())

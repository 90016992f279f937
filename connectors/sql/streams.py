"""Answers of a database as a stream of Arrow tables: natively where there is a driver for that."""

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC
from importlib import import_module
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import adbc_driver_manager as adbc
import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError

from connectors.base import Offer
from connectors.sql import patience
from connectors.sql.native import Asker
from connectors.sql.offers import offer
from connectors.sql.query import Query
from connectors.tables import column_of, require_apart
from kernel import clock
from kernel.errors import ConfigurationError
from kernel.skew import Clock

NATIVE_ERRORS: tuple[type[Exception], ...] = (adbc.Error, duckdb.Error)
_CONNECT_SECONDS = 10
_STATEMENT_SECONDS = 120
# A table that somebody holds locked must not hold up the others.
_LOCK_SECONDS = 10
# PostgreSQL's own library waits for ever, and so asks now and then whether the other end is there.
_ALIVE = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "tcp_user_timeout": "90000",
}
# How each is asked for its time, in UTC.
_TIME = {
    "postgresql": "select clock_timestamp() at time zone 'UTC'",
    "mysql": "select utc_timestamp(6)",
    "mariadb": "select utc_timestamp(6)",
    "mssql": "select sysutcdatetime()",
    "oracle": "select sys_extract_utc(systimestamp) from dual",
}
# How each is asked what it is.
_PRODUCT = {
    "postgresql": "select split_part(version(), ',', 1)",
    "mysql": "select concat(@@version_comment, ' ', version())",
    "mariadb": "select concat(@@version_comment, ' ', version())",
    "mssql": "select @@version",
}
# Databases that keep what a long reader sees beside what others write meanwhile, and let a reader
# go in the middle: MySQL's driver would first fetch all the rest.
_APART = ("postgresql", "oracle")
_MYSQL = ("mysql", "mariadb")


def parsed(url: str, source: str) -> sa.URL:
    """Read the address of a database."""
    try:
        told = sa.make_url(url)
    except ArgumentError as wrong:
        raise ConfigurationError(
            "The address of the source is not of the form dialect://user@host/database.",
            where=f"source {source}",
            cure="correct the source's url, or the file or variable that it names.",
        ) from wrong
    # SQLAlchemy's own choice of driver differs between its versions.
    is_bare = told.drivername == "postgresql"
    return told.set(drivername="postgresql+psycopg") if is_bare else told


def shown(url: sa.URL) -> str:
    """Write an address without what is secret; its options may be so too."""
    return url.set(username=None, password=None, query={}).render_as_string()


class Database:
    """A database whose sessions cannot write, where it has such sessions."""

    def __init__(self, url: sa.URL, zone: str) -> None:
        self.url = url
        self.engine = _engine(url, zone)
        self._native = Asker(native_address(url, zone))

    @property
    def is_native(self) -> bool:
        """Tell whether its driver gives Arrow."""
        return self.url.get_backend_name() == "postgresql"

    @property
    def keeps_readers_apart(self) -> bool:
        """Tell whether who reads for long holds up nobody who writes."""
        return self.url.get_backend_name() in _APART

    def stream(self, select: Query, size: int) -> Generator[pa.Table]:
        """Ask; give the answer in tables of about so many rows."""
        if self.is_native:
            return self._native.ask(self._text(select))
        has_wire = self.engine.driver == "pymysql"
        return self._by_columns(select) if has_wire else self._by_rows(select, size)

    def _text(self, select: Query) -> str:
        text = select.compile(self.engine, compile_kwargs={"literal_binds": True})
        # Doubled for the driver's sake, which would take it for a parameter.
        return str(text).replace("%%", "%")

    def _by_columns(self, select: Query) -> Generator[pa.Table]:
        with self.engine.connect() as connection:
            try:
                yield from connection.connection.ask(self._text(select))
            except BaseException:
                # What is still to come would be taken for the next question's answer.
                connection.invalidate()
                raise

    def _by_rows(self, select: Query, size: int) -> Generator[pa.Table]:
        with self.engine.connect() as connection:
            asked = connection.execution_options(stream_results=True)
            if self.engine.driver == "pyodbc" and self.engine.dialect.name in _MYSQL:
                # This driver gives its server whole seconds only.
                told = select.compile(self.engine, compile_kwargs={"literal_binds": True})
                result = asked.exec_driver_sql(str(told))
            else:
                result = asked.execute(select)
            names = list(result.keys())
            require_apart(names)
            with closing(result):
                for rows in result.partitions(size):
                    # By columns: half the time of row by row.
                    columns = zip(*rows, strict=True)
                    yield pa.table(dict(zip(names, map(column_of, columns), strict=True)))

    @contextmanager
    def _session(self) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            # Nothing stays open at the source for what is seldom asked.
            connection.detach()
            yield connection

    def catalogue(self) -> Iterator[Offer]:
        """List its tables and views, and how each may be read."""
        return patience.each(self._catalogue())

    def _catalogue(self) -> Generator[Offer]:
        with self._session() as connection:
            told = sa.inspect(connection)
            for table in sorted([*told.get_table_names(), *told.get_view_names()]):
                columns = {each["name"]: str(each["type"]) for each in told.get_columns(table)}
                keys = told.get_pk_constraint(table)["constrained_columns"]
                yield offer(table, columns, keys, self.engine.dialect)

    def clock(self) -> Clock | str:
        """Compare its clock with ours."""
        question = _TIME.get(self.engine.dialect.name)
        if question is None:
            return "The database is a file, or of a kind whose time we do not know how to ask for."
        return patience.once(self._clock, question)

    def _clock(self, question: str) -> Clock:
        with self._session() as connection:
            # The first question also opens the session.
            connection.execute(sa.text(question))
            asked = clock.now()
            told = connection.execute(sa.text(question)).scalar_one()
            answered = clock.now()
        return Clock.between(asked, told.replace(tzinfo=UTC), answered)

    def product(self) -> str:
        """Ask what it is; a file is nobody."""
        question = _PRODUCT.get(self.url.get_backend_name())
        return patience.once(self._product, question) if question else ""

    def _product(self, question: str) -> str:
        with self._session() as connection:
            return str(connection.execute(sa.text(question)).scalar_one())

    def close(self) -> None:
        """Let go of its connections."""
        self._native.close()
        self.engine.dispose()


def native_address(url: sa.URL, zone: str, more: str = "") -> str:
    """Give a PostgreSQL's address as its own library reads it, for sessions that cannot write."""
    told = with_session(url, zone, more).set(drivername="postgresql")
    # A blank is written as in forms, which libpq does not read.
    return told.render_as_string(hide_password=False).replace("+", "%20")


def _engine(url: sa.URL, zone: str) -> sa.Engine:
    dialect = url.get_backend_name()
    if dialect == "sqlite" and url.database:
        address = f"file:{quote(str(Path(url.database).absolute()))}?mode=ro"
        return sa.create_engine(
            url,
            creator=lambda: sqlite3.connect(
                address, uri=True, timeout=_CONNECT_SECONDS, check_same_thread=False
            ),
            poolclass=sa.NullPool,
        )
    if dialect == "postgresql":
        return sa.create_engine(with_session(url, zone), pool_pre_ping=True, pool_size=1)
    limits = dict.fromkeys(("read_timeout", "write_timeout"), patience.SILENT_SECONDS)
    told = limits if url.get_driver_name() == "pymysql" else {}
    engine = sa.create_engine(url, pool_pre_ping=True, pool_size=1, connect_args=told)
    if engine.driver == "pymysql":
        # It comes with an extra.
        wire = import_module("connectors.sql.wire")
        sa.event.listen(engine, "do_connect", lambda _, __, args, how: wire.Wire(*args, **how))
    if engine.driver == "pyodbc":
        sa.event.listen(engine, "connect", _settle_odbc)
    if dialect in _MYSQL:
        sa.event.listen(engine, "connect", _settle_mysql(zone))
    return engine


def _settle_odbc(connection: DBAPIConnection, _record: object) -> None:
    """Let no question last for ever, as far as the driver can."""
    connection.timeout = _STATEMENT_SECONDS


def _settle_mysql(zone: str) -> "Callable[[DBAPIConnection, object], None]":
    """Give what lets a session read only, in the source's zone, and no question last for ever."""
    ahead = clock.now().astimezone(ZoneInfo(zone)).strftime("%z")

    def settle(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("set session transaction read only")
        cursor.execute(f"set session time_zone = '{ahead[:3]}:{ahead[3:]}'")
        cursor.execute("select version()")
        (version,) = cursor.fetchone() or ("",)
        # Each of the two products has its own name for the limit, and its own unit.
        is_mariadb = "mariadb" in str(version).lower()
        name = "max_statement_time" if is_mariadb else "max_execution_time"
        cursor.execute(f"set session {name} = {_STATEMENT_SECONDS * (1 if is_mariadb else 1000)}")
        cursor.execute(f"set session lock_wait_timeout = {_LOCK_SECONDS}")
        cursor.close()

    return settle


def with_session(url: sa.URL, zone: str, more: str = "") -> sa.URL:
    """Say with an address that its sessions cannot write, nor ask for ever."""
    options = (
        f"-c default_transaction_read_only=on -c timezone={zone} "
        f"-c statement_timeout={_STATEMENT_SECONDS * 1000} "
        f"-c lock_timeout={_LOCK_SECONDS * 1000}{more}"
    )
    told = {"options": options, "connect_timeout": str(_CONNECT_SECONDS), **_ALIVE}
    return url.update_query_dict(told)

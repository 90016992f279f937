"""Puts tables into real databases, in place of what they held."""

import io
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import psycopg
import pyarrow as pa
import pyarrow.csv as pc
import pymysql
from psycopg import sql

from county.shape import Table
from kernel.errors import ConfigurationError, DependencyUnavailableError

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_MYSQL_PORT = 3306
_BATCH_ROWS = 10_000


def into_database(url: str, tables: Iterable[Table]) -> dict[str, int]:
    """Load tables into the database of a URL; give rows by table."""
    scheme, found, _ = url.partition("://")
    kind = scheme.partition("+")[0] if found else ""
    if kind not in _LOADERS:
        raise ConfigurationError(
            "A simulated factory's books go into PostgreSQL or MariaDB.",
            where="county/load.py",
            cure="give postgresql://user@host:port/database or mysql://….",
        )
    try:
        return _LOADERS[kind](url, tables)
    except (psycopg.OperationalError, pymysql.OperationalError) as down:
        raise DependencyUnavailableError(
            f"The simulated factory's database does not answer: {str(down).strip()}.",
            where="county/load.py",
            cure="start it with `nplusx up`, or correct its address.",
        ) from down


def _into_postgres(url: str, tables: Iterable[Table]) -> dict[str, int]:
    counts: dict[str, int] = {}
    with psycopg.connect(f"postgresql://{url.partition('://')[2]}") as connection:
        # One transaction: a reader sees the old books or the new ones, never half.
        for table in tables:
            _replace(connection, table)
            counts[table.name] = table.rows.num_rows
    return counts


def fill(url: str, tables: Iterable[Table]) -> None:
    """Put rows into tables of a PostgreSQL that are there, in place of what they held."""
    with psycopg.connect(f"postgresql://{url.partition('://')[2]}") as connection:
        for table in tables:
            connection.execute(sql.SQL("delete from {}").format(sql.Identifier(table.name)))
            _copy(connection, table)


def append(url: str, name: str, rows: pa.Table) -> None:
    """Add rows to a table that is there."""
    if _is_postgres(url):
        with psycopg.connect(url) as connection:
            _copy(connection, Table(name, "", rows))
    else:
        with _mysql(url) as database, database.cursor() as cursor:
            _insert(cursor, name, rows)
            database.commit()


def run(url: str, statements: Iterable[str]) -> None:
    """Run statements as the owner of a database does."""
    with psycopg.connect(url) if _is_postgres(url) else _mysql(url) as connection:
        with connection.cursor() as cursor:
            for each in statements:
                cursor.execute(each)
        connection.commit()


def _is_postgres(url: str) -> bool:
    return url.startswith("postgresql")


def _mysql(url: str) -> "pymysql.Connection[Cursor]":
    told = urlsplit(url)
    return pymysql.connect(
        host=told.hostname, port=told.port or _MYSQL_PORT, user=unquote(told.username or ""),
        password=unquote(told.password or ""), database=told.path.lstrip("/"),
    )  # fmt: skip


def _into_mysql(url: str, tables: Iterable[Table]) -> dict[str, int]:
    counts: dict[str, int] = {}
    with _mysql(url) as connection, connection.cursor() as cursor:
        names = [_write_beside(cursor, table, counts) for table in tables]
        # One statement, hence one moment: a reader sees the old books or the new ones.
        old = set(_tables(cursor))
        moves = [f"`{name}` to `{name}_old`" for name in names if name in old]
        moves += [f"`{name}_new` to `{name}`" for name in names]
        cursor.execute("rename table " + ", ".join(moves))
        for name in old & set(names):
            cursor.execute(f"drop table `{name}_old`")
        connection.commit()
    return counts


def _tables(cursor: "Cursor") -> list[str]:
    cursor.execute("show tables")
    return [str(row[0]) for row in cursor.fetchall()]


def _write_beside(cursor: "Cursor", table: Table, counts: dict[str, int]) -> str:
    """Fill a table under another name; give the name that it will have."""
    cursor.execute(f"drop table if exists `{table.name}_new`, `{table.name}_old`")
    cursor.execute(f"create table `{table.name}_new` {table.columns}")
    _insert(cursor, f"{table.name}_new", table.rows)
    counts[table.name] = table.rows.num_rows
    return table.name


def _insert(cursor: "Cursor", name: str, rows: pa.Table) -> None:
    places = ", ".join(["%s"] * rows.num_columns)
    insert = " ".join((f"insert into `{name}`", "values", f"({places})"))
    for batch in rows.to_batches(_BATCH_ROWS):
        listed = list(zip(*(each.to_pylist() for each in batch.columns), strict=True))
        if listed:
            cursor.executemany(insert, listed)


_LOADERS: Mapping[str, Callable[[str, Iterable[Table]], dict[str, int]]] = {
    "postgresql": _into_postgres,
    "postgres": _into_postgres,
    "mysql": _into_mysql,
    "mariadb": _into_mysql,
}


def _replace(connection: "psycopg.Connection[tuple[object, ...]]", table: Table) -> None:
    name = sql.Identifier(table.name)
    connection.execute(sql.SQL("drop table if exists {}").format(name))
    connection.execute(sql.SQL("create table {} ").format(name) + sql.SQL(table.columns))
    _copy(connection, table)


def _copy(connection: "psycopg.Connection[tuple[object, ...]]", table: Table) -> None:
    # Nothing is an empty field, an empty text two quotes.
    options = pc.WriteOptions(include_header=False, quoting_style="all_valid")
    columns = sql.SQL(", ").join(map(sql.Identifier, table.rows.column_names))
    name = sql.Identifier(table.name)
    into = sql.SQL("copy {} ({}) from stdin (format csv)").format(name, columns)
    with connection.cursor().copy(into) as copy:
        for batch in table.rows.to_batches(_BATCH_ROWS):
            text = io.BytesIO()
            pc.write_csv(batch, text, options)
            copy.write(text.getvalue())

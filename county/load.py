"""Puts tables into real databases, in place of what they held."""

import io
from collections.abc import Iterable

import psycopg
import pyarrow.csv as pc
from psycopg import sql

from county.shape import Table
from kernel.errors import ConfigurationError, DependencyUnavailableError


def into_database(url: str, tables: Iterable[Table]) -> dict[str, int]:
    """Load tables into the database of a URL; give rows by table."""
    counts: dict[str, int] = {}
    try:
        with psycopg.connect(_plain(url)) as connection:
            # One transaction: a reader sees the old books or the new ones, never half.
            for table in tables:
                _replace(connection, table)
                counts[table.name] = table.rows.num_rows
    except psycopg.OperationalError as down:
        raise DependencyUnavailableError(
            f"The simulated factory's database does not answer: {str(down).strip()}.",
            where="county/load.py",
            cure="start it with `nplusx up`, or correct its address.",
        ) from down
    return counts


def _plain(url: str) -> str:
    """Take the address as SQLAlchemy or as libpq writes it."""
    scheme, found, rest = url.partition("://")
    if not found or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConfigurationError(
            "A simulated factory of this product needs a PostgreSQL address.",
            where="county/load.py",
            cure="give postgresql://user@host:port/database.",
        )
    return f"postgresql://{rest}"


def _replace(connection: "psycopg.Connection[tuple[object, ...]]", table: Table) -> None:
    name = sql.Identifier(table.name)
    connection.execute(sql.SQL("drop table if exists {}").format(name))
    connection.execute(sql.SQL("create table {} ").format(name) + sql.SQL(table.columns))
    text = io.BytesIO()
    # Nothing is an empty field, an empty text two quotes.
    options = pc.WriteOptions(include_header=False, quoting_style="all_valid")
    pc.write_csv(table.rows, text, options)
    into = sql.SQL("copy {} from stdin (format csv)").format(name)
    with connection.cursor().copy(into) as copy:
        copy.write(text.getvalue())

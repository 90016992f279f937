"""What MySQL's or MariaDB's settings and catalogue say of a table to be followed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import pymysql

from connectors.base import Offer
from connectors.cdc.log import CdcStream
from kernel.errors import ConfigurationError

Connection: TypeAlias = "pymysql.Connection[pymysql.cursors.Cursor]"
Wrong = tuple[str, str]
# Settings by what they must be; the first is the value to set. Not every release has them all.
_WANTED: dict[str, tuple[str, ...]] = {
    "log_bin": ("ON", "1"),
    "binlog_format": ("ROW",),
    "binlog_row_image": ("FULL",),
    "binlog_row_metadata": ("FULL",),
    "log_bin_compress": ("OFF", "0"),
    "binlog_transaction_compression": ("OFF", "0"),
    "binlog_row_value_options": ("",),
}
_NEEDED = ("log_bin", "binlog_row_metadata")
_KEYS = """
select index_name, group_concat(column_name separator '\n'), max(nullable = 'YES')
from information_schema.statistics
where table_schema = %s and table_name = %s and non_unique = 0 group by index_name
order by index_name = 'PRIMARY' desc
"""
_COLUMNS = """
select column_name, column_type from information_schema.columns
where table_schema = %s and table_name = %s order by ordinal_position
"""
_TABLES = """
select table_name from information_schema.tables
where table_schema = %s and table_type = 'BASE TABLE' order by 1
"""
_NO_SUCH_STATEMENT = 1064


@dataclass(frozen=True, slots=True)
class Table:
    """A table, where the log ends now, and what is missing for following it."""

    schema: str
    name: str
    position: tuple[str, int]
    wrong: tuple[Wrong, ...]

    @property
    def quoted(self) -> str:
        """Write its name as SQL does."""
        return ".".join("`" + each.replace("`", "``") + "`" for each in (self.schema, self.name))


def find(connection: Connection, stream: CdcStream, database: str) -> Table:
    """Look a table up."""
    schema, _, name = stream.table.rpartition(".")
    schema = schema or database
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS, (schema, name))
        columns = {str(each[0]) for each in cursor.fetchall()}
        if not columns:
            raise ConfigurationError(
                f"The source has no such table: {schema}.{name}; or its user may not read it.",
                where=f"table {stream.table}",
                cure=f"correct `table` in the preset; or run: grant select on {schema}.* to …",
            )
        cursor.execute(_KEYS, (schema, name))
        unique = cursor.fetchall()
        cursor.execute("show global variables where variable_name in %s", (list(_WANTED),))
        settings = {str(key): str(value) for key, value in cursor.fetchall()}
        wrong = [*_settings(settings), *_keys(stream, columns, unique)]
        position, left_out = _position(cursor, schema) if not wrong else (("", 0), ())
    return Table(schema, name, position, (*wrong, *left_out))


def _settings(settings: dict[str, str]) -> Iterator[Wrong]:
    for name, wanted in _WANTED.items():
        found = settings.get(name)
        if found is None and name in _NEEDED:
            yield (
                f"The server is too old: it has no {name}.",
                "-- MySQL 8.0 or MariaDB 10.5, or newer; or read the table with the kind sql",
            )
        elif found is not None and found.upper() not in wanted:
            cure = f"set global {name} = '{wanted[0]}'; -- also in its configuration file"
            if name == "log_bin":
                cure = "-- write log_bin into the server's configuration file, and restart it"
            yield f"The server's setting {name} is {found or 'empty'}.", cure


def _keys(
    stream: CdcStream, columns: set[str], unique: tuple[tuple[object, ...], ...]
) -> Iterator[Wrong]:
    if missing := sorted({*stream.keys} - columns):
        yield f"The table has no column {', '.join(missing)}.", "-- correct `keys` in the preset"
        return
    alone = [{*str(names).split("\n")} for _, names, is_nullable in unique if not is_nullable]
    if not any(each <= {*stream.keys} for each in alone):
        yield (
            f"Nothing in the table promises that {', '.join(stream.keys)} tell rows apart.",
            "-- name the columns of the primary key as `keys`, or give the table one",
        )


def _position(
    cursor: pymysql.cursors.Cursor, schema: str
) -> tuple[tuple[str, int], tuple[Wrong, ...]]:
    """Give the end of the log; what is left out of it is wrong."""
    try:
        cursor.execute("show master status")
    except pymysql.ProgrammingError as unknown:
        if unknown.args[0] != _NO_SUCH_STATEMENT:
            raise
        cursor.execute("show binary log status")
    file, position, only, ignored, *_ = cursor.fetchone() or ("", 0, "", "")
    is_in = not only or schema in str(only).split(",")
    if is_in and schema not in str(ignored).split(","):
        return (str(file), int(str(position))), ()
    wrong = "The server leaves the database out of its log.", "-- correct binlog_do_db"
    return (str(file), int(str(position))), (wrong,)


def offers(connection: Connection, database: str) -> Iterator[Offer]:
    """List the tables of a database, with the columns of their primary keys."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES, (database,))
        for (name,) in cursor.fetchall():
            cursor.execute(_COLUMNS, (database, name))
            columns = {str(column): str(kind) for column, kind in cursor.fetchall()}
            cursor.execute(_KEYS, (database, name))
            keys = next((str(names).split("\n") for _, names, _ in cursor.fetchall()), [])
            yield Offer(str(name), columns, {"table": str(name), "keys": keys})

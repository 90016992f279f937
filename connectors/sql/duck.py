"""DuckDB's files: read in Arrow, by the engine that is here anyway, without writing beside them."""

import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from typing_extensions import override

from connectors.base import Offer
from connectors.sql.offers import offer
from connectors.sql.query import Query
from connectors.sql.streams import Database
from connectors.tables import require_apart
from kernel.skew import Clock

# Its language is that of PostgreSQL, as far as our questions go.
_DIALECT: sa.Dialect = sa.make_url("postgresql+psycopg://").get_dialect()()
_COLUMNS = """
select table_name, column_name, data_type from information_schema.columns
where table_schema = 'main' order by table_name, ordinal_position
"""
_KEYS = """
select unnest(constraint_column_names) from duckdb_constraints()
where schema_name = 'main' and table_name = ? and constraint_type = 'PRIMARY KEY'
"""


class DuckDatabase(Database):
    """A file that nobody can write to while it is read: it is let go after each page."""

    is_native = True
    keeps_readers_apart = False

    def __init__(self, url: sa.URL, zone: str) -> None:
        self.url, self._zone = url, zone

    def _connected(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(self.url.database or "", read_only=True)
        # Not beside the source's file; then nothing but the file is within reach.
        connection.execute("set temp_directory = ?", [tempfile.gettempdir()])
        connection.execute("set enable_external_access = false")
        connection.execute("set TimeZone = ?", [self._zone])
        return connection

    @override
    def stream(self, select: Query, size: int) -> Generator[pa.Table]:
        text = str(select.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))
        with closing(self._connected()) as connection:
            # Doubled for the other engine's driver, which takes it for a parameter.
            answer = connection.sql(text.replace("%%", "%"))
            require_apart(answer.columns)
            for batch in answer.to_arrow_reader(size):
                yield _plain(pa.Table.from_batches([batch]))

    @override
    def catalogue(self) -> Iterator[Offer]:
        with closing(self._connected()) as connection:
            tables: dict[str, dict[str, str]] = {}
            for table, column, kind in connection.execute(_COLUMNS).fetchall():
                tables.setdefault(str(table), {})[str(column)] = str(kind)
            for table, columns in tables.items():
                keys = [str(each[0]) for each in connection.execute(_KEYS, [table]).fetchall()]
                yield offer(table, columns, keys, _DIALECT)

    @override
    def clock(self) -> Clock | str:
        return "The database is a file: it has no clock."

    @override
    def close(self) -> None:
        """Nothing is held between questions."""


def _plain(table: pa.Table) -> pa.Table:
    """Give what is one of a few texts as text."""
    for at, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(at, field.name, table.column(at).cast(field.type.value_type))
    return table

"""A factory's own database full of operation reports, as its agent and every peer read them."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pyarrow as pa
import pyarrow.csv

from bench.rows import batches
from tests.servers import PostgresServer, running

TABLE = "reports"
_LOAD_ROWS = 50_000
_TYPES = {pa.string(): "text", pa.bool_(): "boolean", pa.int64(): "bigint", pa.date32(): "date"}
PRESET = """
title: {zh: 测速, en: Bench}
kind: sql
proof: run in the bench
streams:
  - contract: mes.operation_report.v1
    version: 1.0.0
    updated: updated_at
    keys: [report_id]
    query: select * from reports
    mapping: select * from rows
"""


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    return "timestamptz" if pa.types.is_timestamp(kind) else _TYPES[kind]


@contextmanager
def database(rows: int) -> Iterator[str]:
    """Give the address of a PostgreSQL with so many reports, with the index that any MES has."""
    with running(PostgresServer) as server:
        address = server.fresh()
        with psycopg.connect(address, autocommit=True) as connection:
            first = True
            for table in batches(rows, _LOAD_ROWS):
                if first:
                    columns = ", ".join(f"{f.name} {_sql_type(f.type)}" for f in table.schema)
                    connection.execute(f"create table {TABLE} ({columns})")
                    first = False
                with connection.cursor().copy(f"copy {TABLE} from stdin (format csv)") as copy:
                    copy.write(_csv(table))
            connection.execute(f"alter table {TABLE} add primary key (report_id)")
            connection.execute(f"create index on {TABLE} (updated_at)")
            connection.execute(f"vacuum analyze {TABLE}")
        yield address


def _csv(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    options = pyarrow.csv.WriteOptions(include_header=False)
    pyarrow.csv.write_csv(table, sink, options)
    written: bytes = sink.getvalue().to_pybytes()
    return written

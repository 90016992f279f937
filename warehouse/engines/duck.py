"""Runs SQL in process on DuckDB, shut off from files and network."""

from collections.abc import Mapping

import duckdb
import pyarrow as pa
from typing_extensions import override

from contracts.schema import INSTANT
from kernel.errors import ChecksFailedError
from warehouse.tables import Engine, Source


class DuckEngine(Engine):
    """One connection per query: nothing of one run is left for the next."""

    @override
    def run(self, sql: str, inputs: Mapping[str, Source]) -> pa.Table:
        with duckdb.connect(":memory:") as connection:
            connection.execute("set TimeZone = 'Asia/Shanghai'")
            connection.execute("set enable_external_access = false")
            connection.execute("set threads = 2")
            for name, source in inputs.items():
                connection.register(name, source)
            try:
                return _in_utc(connection.sql(sql).to_arrow_table())
            except duckdb.Error as broken:
                raise ChecksFailedError(
                    f"The SQL could not be run: {str(broken).splitlines()[0]}",
                    where=", ".join(sorted(inputs)),
                    cure="mend the SQL file or the tables that it reads.",
                ) from broken


def _in_utc(rows: pa.Table) -> pa.Table:
    """Store instants in UTC: DuckDB labels them with the session's zone."""
    fields = [
        field.with_type(INSTANT) if pa.types.is_timestamp(field.type) and field.type.tz else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))

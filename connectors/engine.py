"""The engine that runs a preset's SQL over Arrow tables: it reaches no file and no network."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import duckdb


@contextmanager
def session(zone: str = "UTC") -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a session that nothing outlives; days and hours are those of the zone."""
    with _engine(zone).cursor() as connection:
        connection.begin()
        try:
            yield connection
        finally:
            # Whatever a mapping made goes; one that failed has nothing to roll back.
            connection.execute("rollback")


@cache
def _engine(zone: str) -> duckdb.DuckDBPyConnection:
    """Start an engine: it costs more than to map a page, so each zone has one that stays."""
    engine = duckdb.connect(
        config={
            "enable_external_access": "false",
            "python_enable_replacements": "false",
            # A page is too small to be shared out.
            "threads": "1",
        }
    )
    engine.execute("set global TimeZone = ?", [zone])
    engine.execute("set lock_configuration = true")
    return engine

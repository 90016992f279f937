"""Joins ports and adapters: the only module that names a concrete adapter."""

from pipeline.settings import Settings
from warehouse.store import TableStore
from warehouse.tables import Engine


def store(settings: Settings) -> TableStore:
    """Open the tables."""
    from warehouse.delta import DeltaStore

    return DeltaStore(settings.lake_uri)


def engine() -> Engine:
    """Give who runs the SQL."""
    from warehouse.engines.duck import DuckEngine

    return DuckEngine()

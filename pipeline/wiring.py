"""Joins ports and adapters: the only module that names a concrete adapter."""

from bus.ports import Bus
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


def bus(settings: Settings) -> Bus:
    """Give the bus."""
    from bus.kafka import KafkaBus

    kafka = settings.kafka
    return KafkaBus(
        settings.bootstrap_servers, kafka.partitions, kafka.replication, kafka.timeout_seconds
    )

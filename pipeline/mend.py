"""Mend: what the doctor may cure by itself, for nothing of it can hide a loss."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial

from bus.topics import topic_of
from contracts.loader import all_contracts
from contracts.schema import landing_schema
from kernel import clock
from kernel.errors import DependencyUnavailableError
from pipeline import wiring
from pipeline.maintain import ATTEMPTED, clear, patiently
from pipeline.settings import Settings, read_settings
from warehouse import quarantine
from warehouse.landing import RECORD_SCHEMA, RECORDS
from warehouse.store import TableStore


def mend(settings: Settings | None = None) -> list[str]:
    """Do every safe cure that is due, and name each."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    return [*_topics(settings), *_tables(store), *_attempts(settings, store), *_checkpoints(store)]


def _topics(settings: Settings) -> Iterator[str]:
    """Make the topics that are missing: agents may write, not create."""
    wanted = [topic_of(identity) for identity in all_contracts()]
    try:
        with closing(wiring.bus(settings)) as bus:
            there = bus.extents(wanted)
            bus.ensure_topics(wanted)
    except DependencyUnavailableError:
        # The examination says so.
        return
    yield from (f"made the topic {topic}" for topic in wanted if topic not in there)


def _tables(store: TableStore) -> Iterator[str]:
    """Make the tables that landing writes; the equation misses one that was lost as before."""
    wanted = [
        *((each.table, landing_schema(each), ["_month"]) for each in all_contracts().values()),
        (RECORDS, RECORD_SCHEMA, ["contract", "_month"]),
        (quarantine.QUARANTINE, quarantine.SCHEMA, ["contract", "_month"]),
    ]
    for name, schema, parts in wanted:
        if not store.exists(name):
            store.create(name, schema, parts)
            yield f"made the table {name}"


def _attempts(settings: Settings, store: TableStore) -> Iterator[str]:
    """Clear the rows of old landings that came to nothing."""
    before = clock.now() - settings.maintain.attempt_age
    for name in ATTEMPTED:
        rows = patiently(partial(clear, store, name, before))
        if rows:
            yield f"cleared {rows} rows of landings that came to nothing from {name}"


def _checkpoints(store: TableStore) -> Iterator[str]:
    """Write the checkpoints that opening a table has come to need."""
    for name in store.names():
        if patiently(store.open(name).checkpoint):
            yield f"wrote a checkpoint of {name}"

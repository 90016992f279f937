"""Computes SQL tables from those that they read, and leaves alone what is already current."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from contracts.loader import all_contracts
from contracts.schema import landing_schema
from warehouse.store import ConflictError, Facts, TableHandle, TableStore
from warehouse.tables import Engine, Source, SqlTable, in_order

_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Built:
    """One table after a run: its version, its rows, and whether they were computed anew."""

    name: str
    version: int
    rows: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The tables that a query reads, each at one version."""

    sources: Mapping[str, Source]
    versions: Mapping[str, int]
    as_of: str


def newest_facts(handle: TableHandle) -> Facts:
    """Read what was said when the table was last written."""
    commits = handle.commits()
    return commits[-1].facts if commits else {}


def ensure_landing(store: TableStore, tables: Iterable[SqlTable]) -> None:
    """Make the landing tables that a query reads and no record has reached; widen those there."""
    read = {name for table in tables for name in table.reads}
    for contract in all_contracts().values():
        if contract.table in read or store.exists(contract.table):
            store.create(contract.table, landing_schema(contract), ("_month",))


def rebuild(store: TableStore, engine: Engine, tables: Iterable[SqlTable]) -> tuple[Built, ...]:
    """Compute the tables in order; one whose query and inputs are unchanged is left alone."""
    return tuple(_build(store, engine, table) for table in in_order(tables))


def _build(store: TableStore, engine: Engine, table: SqlTable) -> Built:
    for _ in range(_RETRIES):
        # Another run may compute it in the same moment: then look again whether it is current.
        with suppress(ConflictError):
            return _build_once(store, engine, table)
    return _build_once(store, engine, table)


def _build_once(store: TableStore, engine: Engine, table: SqlTable) -> Built:
    inputs = read_inputs(store, table.reads)
    facts: dict[str, object] = {
        "reads": dict(inputs.versions),
        "sql": table.digest,
        "as_of": inputs.as_of,
    }
    handle = store.open(table.name) if store.exists(table.name) else None
    if handle is not None:
        known = newest_facts(handle)
        if all(known.get(name) == value for name, value in facts.items()):
            return Built(table.name, handle.version, int(str(known.get("rows", 0))), is_new=False)
    rows = engine.run(table.query, inputs.sources)
    if handle is None:
        store.create(table.name, rows.schema)
        handle = store.open(table.name)
    version = handle.replace(rows, {**facts, "rows": rows.num_rows})
    return Built(table.name, version, rows.num_rows, is_new=True)


def read_inputs(store: TableStore, names: Iterable[str]) -> _Inputs:
    """Open tables at their newest version, with the newest instant that they know of."""
    handles = {name: store.open(name) for name in names}
    instants = [_as_of(name, handle) for name, handle in handles.items()]
    return _Inputs(
        {name: handle.dataset() for name, handle in handles.items()},
        {name: handle.version for name, handle in handles.items()},
        max(instants, default=""),
    )


def _as_of(name: str, handle: TableHandle) -> str:
    """Tell how new a table's knowledge is: for landing, its newest row's time on the bus."""
    if not name.startswith("landing__"):
        return str(newest_facts(handle).get("as_of", ""))
    column = handle.dataset().to_table(["_broker_at"])["_broker_at"]
    newest: pa.Scalar = pc.max(column)
    instant: datetime | None = newest.as_py()
    return instant.isoformat() if instant else ""


def landing_versions(store: TableStore, versions: Mapping[str, int]) -> Mapping[str, int] | None:
    """Trace computed tables to the landing versions that they rest on; None while they differ.

    They differ only while a run is under way that has renewed some of them and not yet others.
    """
    found: dict[str, int] = {}
    for name, version in versions.items():
        if name.startswith("landing__"):
            traced: Mapping[str, int] | None = {name: version}
        else:
            traced = landing_versions(store, _reads(store.open(name, version)))
        for landing, number in (traced or {}).items():
            if found.setdefault(landing, number) != number:
                return None
        if traced is None:
            return None
    return found


def _reads(handle: TableHandle) -> Mapping[str, int]:
    reads = newest_facts(handle).get("reads")
    return (
        {str(name): int(number) for name, number in reads.items()}
        if isinstance(reads, dict)
        else {}
    )

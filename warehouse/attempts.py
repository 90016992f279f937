"""One record, one decision: which rows of quarantine and signed records count."""

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from warehouse import quarantine
from warehouse.landing import RECORD_SCHEMA, RECORDS
from warehouse.store import TableHandle, TableStore

LANDING = "landing__"


def decisions(store: TableStore) -> dict[str, int]:
    """Name the attempts that a landing commit stands behind, with the version that it made."""
    return {
        str(commit.facts["attempt"]): commit.version
        for name in store.names()
        if name.startswith(LANDING)
        for commit in store.open(name).commits()
        if "attempt" in commit.facts
    }


def decided(store: TableStore) -> frozenset[str]:
    """Name the attempts that count; rows of others do not exist."""
    return frozenset(decisions(store))


def replayed_in(handle: TableHandle) -> frozenset[str]:
    """Name the quarantined rows, by id, that landed after all, as far as a handle sees."""
    return frozenset(
        str(each)
        for commit in handle.commits()
        if isinstance(ids := commit.facts.get("replayed"), list)
        for each in ids
    )


def replayed(store: TableStore) -> frozenset[str]:
    """Name the quarantined rows, by id, that landed after all."""
    return frozenset(
        each
        for name in store.names()
        if name.startswith(LANDING)
        for each in replayed_in(store.open(name))
    )


def quarantined(store: TableStore, schema: pa.Schema) -> pa.Table:
    """Read columns of the rows that are in quarantine now: without those that landed after all."""
    wanted = pa.schema([*schema, *(f for f in quarantine.SCHEMA if f.name == "id")])
    rows = visible(store, quarantine.QUARANTINE, schema if "id" in schema.names else wanted)
    gone = pa.array(sorted(replayed(store)), pa.string())
    return rows.filter(pc.invert(pc.is_in(rows["id"], value_set=gone))).select(schema.names)


_PLACED = ("topic", "partition", "offset", "attempt")


def records(store: TableStore, schema: pa.Schema, where: pc.Expression | None = None) -> pa.Table:
    """Read columns of the records that count: of one that was judged again, the last judgement."""
    wanted = [*schema, *(RECORD_SCHEMA.field(n) for n in _PLACED if n not in schema.names)]
    rows = visible(store, RECORDS, pa.schema(wanted), where)
    if replayed(store):
        version = decisions(store)
        places = list(zip(*(rows[name].to_pylist() for name in _PLACED), strict=True))
        last: dict[object, int] = {}
        for *place, attempt in places:
            last[tuple(place)] = max(last.get(tuple(place), -1), version[attempt])
        keep = [last[tuple(place)] == version[attempt] for *place, attempt in places]
        rows = rows.filter(pa.array(keep, pa.bool_()))
    return rows.select(schema.names)


def visible(
    store: TableStore, name: str, schema: pa.Schema, where: pc.Expression | None = None
) -> pa.Table:
    """Read columns of a table written under attempts, without those that came to nothing.

    What `where` leaves out is not read at all, as far as files and their parts can tell.
    """
    if not store.exists(name):
        return schema.empty_table()
    attempts = pa.array(sorted(decided(store)), pa.string())
    named = pc.field("attempt").isin(attempts)
    if where is not None:
        named &= where
    return store.open(name).dataset().to_table(schema.names, filter=named).cast(schema)


_LIGHT = pa.schema([each for each in quarantine.SCHEMA if each.name != "raw"])


def waiting(store: TableStore, now: datetime) -> list[dict[str, object]]:
    """List the rows in quarantine with their state, all but the rows as they were sent.

    A waiver that has ended no longer counts.
    """
    events = quarantine.newest_events(store)
    rows: list[dict[str, object]] = quarantined(store, _LIGHT).to_pylist()
    for row in rows:
        event = events.get(str(row["id"]), {})
        until = event.get("until")
        has_ended = isinstance(until, datetime) and until <= now
        row["state"] = quarantine.OPEN if has_ended else event.get("state", quarantine.OPEN)
        row["word"] = None if has_ended else event or None
    return rows

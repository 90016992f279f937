"""One record, one decision: which rows of quarantine and signed records count."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, reduce
from operator import or_
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from kernel.errors import DependencyUnavailableError
from warehouse import quarantine, words
from warehouse.landing import RECORD_SCHEMA, RECORDS
from warehouse.store import Commit, Facts, TableHandle, TableStore

LANDING = "landing__"
# Places on the bus, by the contract of their topic.
Places = Mapping[str, Iterable[tuple[str, int, int]]]


@dataclass(frozen=True, slots=True)
class Moment:
    """The landing tables as they are at one moment: what they decided until then, and no more.

    Records and refused rows are written before the commit that decides on them, so whatever is
    read of those later holds all that this moment counts.
    """

    handles: Mapping[str, TableHandle]
    # Why others, by name, could not be opened.
    broken: Mapping[str, DependencyUnavailableError] = field(default_factory=dict)

    @classmethod
    def now(cls, store: TableStore) -> Self:
        """Open every landing table."""
        return cls({name: store.open(name) for name in _landing_tables(store)})

    @classmethod
    def as_far(cls, store: TableStore) -> Self:
        """Open the landing tables that can be opened; nothing of the others is counted."""
        handles: dict[str, TableHandle] = {}
        broken: dict[str, DependencyUnavailableError] = {}
        for name in _landing_tables(store):
            try:
                handles[name] = store.open(name)
            except DependencyUnavailableError as why:
                broken[name] = why
        return cls(handles, broken)

    def decisions(self) -> dict[str, int]:
        """Name the attempts that a landing commit stands behind, with the version it made."""
        return {
            attempt: version
            for handle in self.handles.values()
            for attempt, version in decisions_in(handle).items()
        }

    def replayed(self) -> frozenset[str]:
        """Name the quarantined rows, by id, that landed after all."""
        return frozenset(each for handle in self.handles.values() for each in replayed_in(handle))


def _landing_tables(store: TableStore) -> list[str]:
    return [name for name in store.names() if name.startswith(LANDING)]


def decided(store: TableStore) -> frozenset[str]:
    """Name the attempts that count now; rows of others do not exist."""
    return frozenset(Moment.now(store).decisions())


def decisions_in(handle: TableHandle) -> dict[str, int]:
    """Name the attempts that a table's commits stand behind, with the version each made."""
    return {
        str(commit.facts["attempt"]): commit.version
        for commit in handle.commits()
        if "attempt" in commit.facts
    }


def bereft(store: TableStore, name: str, at: Moment) -> dict[str, frozenset[str]]:
    """Name, by contract, attempts in a table whose landing table is gone, or was made after them.

    They are what is left of the rows that it held: they did not come to nothing.
    """
    if not store.exists(name):
        return {}
    handle = store.open(name)
    made = {str(c.facts["attempt"]): c.at for c in handle.commits() if "attempt" in c.facts}
    undecided = pa.array(sorted(made.keys() - at.decisions().keys()), pa.string())
    asked = handle.dataset().to_table(["contract", "attempt"], pc.field("attempt").isin(undecided))
    found: dict[str, set[str]] = {}
    for contract, attempt in sorted(set(zip(*asked.to_pydict().values(), strict=True))):
        table = LANDING + contract.replace(".", "_")
        if table in at.broken:
            continue
        landing = at.handles.get(table) or (store.open(table) if store.exists(table) else None)
        if landing is None or landing.made_at > made[attempt]:
            found.setdefault(contract, set()).add(attempt)
    return {contract: frozenset(those) for contract, those in found.items()}


def replayed_in(handle: TableHandle) -> frozenset[str]:
    """Name the quarantined rows, by id, that landed after all, as far as a handle sees."""
    return frozenset(_replays_in(handle.commits()))


def _replays_in(commits: Iterable[Commit]) -> dict[str, Commit]:
    """Give the commit that landed a quarantined row after all, by the row's id."""
    return {
        str(each): commit
        for commit in commits
        if isinstance(ids := commit.facts.get("replayed"), list)
        for each in ids
    }


def landed_by(commits: Sequence[Commit]) -> Callable[[str, int, int, int], Commit | None]:
    """Give what finds the commit that landed a row: the replay of it or of its record, if any."""
    replays = _replays_in(commits)

    @cache
    def first(topic: str, partition: int, offset: int) -> Commit | None:
        covering = (each for each in commits if _covers(each.facts, topic, partition, offset))
        return next(covering, None)

    def landed(topic: str, partition: int, offset: int, row: int) -> Commit | None:
        rows = (row, quarantine.WHOLE_RECORD) if replays else ()
        ids = [quarantine.row_id(topic, partition, offset, each) for each in rows]
        again = [replays[each] for each in ids if each in replays]
        return again[0] if again else first(topic, partition, offset)

    return landed


def _covers(facts: Facts, topic: str, partition: int, offset: int) -> bool:
    offsets = facts.get("offsets") if facts.get("topic") == topic else None
    span = offsets.get(str(partition)) if isinstance(offsets, dict) else None
    return span is not None and int(span[0]) <= offset < int(span[1])


def replayed(store: TableStore) -> frozenset[str]:
    """Name the quarantined rows, by id, that have landed after all until now."""
    return Moment.now(store).replayed()


def quarantined(
    store: TableStore,
    schema: pa.Schema,
    at: Moment | None = None,
    where: pc.Expression | None = None,
) -> pa.Table:
    """Read columns of the rows that are in quarantine: without those that landed after all."""
    at = at or Moment.now(store)
    wanted = pa.schema([*schema, *(f for f in quarantine.SCHEMA if f.name == "id")])
    columns = schema if "id" in schema.names else wanted
    rows = visible(store, quarantine.QUARANTINE, columns, where, at)
    gone = pa.array(sorted(at.replayed()), pa.string())
    return rows.filter(pc.invert(pc.is_in(rows["id"], value_set=gone))).select(schema.names)


_PLACED = ("topic", "partition", "offset", "attempt")


def records(
    store: TableStore,
    schema: pa.Schema,
    where: pc.Expression | None = None,
    at: Moment | None = None,
) -> pa.Table:
    """Read columns of the records that count: of one that was judged again, the last judgement."""
    at = at or Moment.now(store)
    wanted = [*schema, *(RECORD_SCHEMA.field(n) for n in _PLACED if n not in schema.names)]
    rows = visible(store, RECORDS, pa.schema(wanted), where, at)
    if at.replayed():
        version = at.decisions()
        places = list(zip(*(rows[name].to_pylist() for name in _PLACED), strict=True))
        last: dict[object, int] = {}
        for *place, attempt in places:
            last[tuple(place)] = max(last.get(tuple(place), -1), version[attempt])
        keep = [last[tuple(place)] == version[attempt] for *place, attempt in places]
        rows = rows.filter(pa.array(keep, pa.bool_()))
    return rows.select(schema.names)


def records_at(
    store: TableStore,
    places: Places,
    schema: pa.Schema,
    at: Moment | None = None,
) -> pa.Table:
    """Read columns of the records at these places on the bus, and of no others, in their order."""
    where = at_places(places)
    if where is None:
        return schema.empty_table()
    found = records(store, schema, where, at)
    return found.sort_by([(name, "ascending") for name in ("topic", "partition", "offset")])


def at_places(places: Places) -> pc.Expression | None:
    """Ask for what stands at these places on the bus; nothing if there are none."""
    offsets: dict[tuple[str, str, int], list[int]] = {}
    for contract, listed in places.items():
        for topic, part, offset in sorted(set(listed)):
            offsets.setdefault((contract, topic, part), []).append(offset)
    among = [_among(*place, known) for place, known in offsets.items()]
    return reduce(or_, among) if among else None


def _among(contract: str, topic: str, partition: int, offsets: Sequence[int]) -> pc.Expression:
    is_there = (pc.field("topic") == topic) & (pc.field("partition") == partition)
    # Tables are parted by contract: files of others are not even opened.
    is_there &= pc.field("contract") == contract
    # The edges let whole files be passed over, unread.
    is_near = (pc.field("offset") >= offsets[0]) & (pc.field("offset") <= offsets[-1])
    return is_there & is_near & pc.field("offset").isin(pa.array(offsets, pa.int64()))


def visible(
    store: TableStore,
    name: str,
    schema: pa.Schema,
    where: pc.Expression | None = None,
    at: Moment | None = None,
) -> pa.Table:
    """Read columns of a table written under attempts, without those that came to nothing.

    What `where` leaves out is not read at all, as far as files and their parts can tell.
    """
    if not store.exists(name):
        return schema.empty_table()
    attempts = pa.array(sorted((at or Moment.now(store)).decisions()), pa.string())
    named = pc.field("attempt").isin(attempts)
    if where is not None:
        named &= where
    return store.open(name).dataset().to_table(schema.names, filter=named).cast(schema)


_LIGHT = pa.schema([each for each in quarantine.SCHEMA if each.name != "raw"])


def waiting(
    store: TableStore,
    now: datetime,
    where: pc.Expression | None = None,
    at: Moment | None = None,
) -> list[dict[str, object]]:
    """List the rows in quarantine with their state, all but the rows as they were sent.

    A waiver that has ended no longer counts.
    """
    events = words.newest(store, words.OF_ROWS, now)
    rows: list[dict[str, object]] = quarantined(store, _LIGHT, at, where).to_pylist()
    for row in rows:
        row["word"] = word = events.get(str(row["id"]))
        row["state"] = word["state"] if word else quarantine.OPEN
    return rows

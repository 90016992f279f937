"""Topics that no contract is for: their records are kept as they came, until one is."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from threading import Event

import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import override

from bus.ports import Bus, Extent, Polled, Reader, Received, Run, Source, runs_of
from bus.topics import PREFIX, contract_of, filed_as, topic_of
from contracts.loader import all_contracts
from contracts.model import Contract
from kernel import canonical, clock
from kernel.log import logger
from pipeline.crashpoints import crash_here
from pipeline.feed import reading
from pipeline.opening import as_received
from pipeline.settings import Settings
from pipeline.standing import GENERATION, Standing, mark_name, settled, standing
from warehouse.landing import KEPT, RECORD_SCHEMA, record_table
from warehouse.store import ConflictError, TableHandle, TableStore

KEPT_TABLE = "unknown__"
_POLL_BYTES = 16 << 20
_POLL_RECORDS = 1000


def table_of(topic: str) -> str:
    """Name the table that keeps the records of a topic without a contract."""
    return KEPT_TABLE + topic.removeprefix(PREFIX)


def unknown_topics(bus: Bus) -> list[str]:
    """List the topics that no contract is for.

    They are as many as people whom the broker allows to make topics have made: agents may not.
    """
    return [each for each in bus.topics() if contract_of(each) not in all_contracts()]


class Keeper:
    """Keeps what one topic holds: records and watermarks in one commit, so each is kept once."""

    def __init__(self, settings: Settings, bus: Bus, store: TableStore, topic: str) -> None:
        self._settings, self._bus, self._store = settings, bus, store
        self._topic, self._table = topic, table_of(topic)
        store.create(self._table, RECORD_SCHEMA, ("_month",))

    def drain(self, stop: Event) -> tuple[Standing, Standing] | None:
        """Keep all that the bus holds now, or until told to stop; tell where that began and ended.

        What was begun is finished.
        """
        handle = self._store.open(self._table)
        extent = self._bus.extents([self._topic]).get(self._topic)
        if extent is None:
            return None
        standing(handle, self._topic, extent).require_readable()
        start = at = settled(self._store, self._table, self._topic, extent)
        while at.is_behind and not stop.is_set():
            # A conflict means that another keeper got on, or that the topic was made anew.
            with suppress(ConflictError):
                self._run(at, stop)
            if self._bus.id_of(self._topic) != extent.id:
                return self.drain(stop)
            at = settled(self._store, self._table, self._topic, extent)
        if at.marks != start.marks:
            logger("land").warning("kept: no contract", topic=self._topic)
        return start, at

    def _run(self, at: Standing, stop: Event) -> None:
        with reading(self._bus, self._topic, at, self._settings.land, stop) as feed:
            while at.is_behind and not stop.is_set():
                runs, positions = feed.take(at, live=False)
                feed.require_same()
                self._write(runs, at, positions)
                at = replace(at, marks=positions)

    def _write(self, runs: Sequence[Run], at: Standing, positions: Mapping[int, int]) -> None:
        crash = self._settings.crash.dir
        crash_here(crash, "land.before_write")
        handle = self._store.open(self._table)
        if any((handle.mark(mark_name(at.topic, p)) or 0) != m for p, m in at.marks.items()):
            raise ConflictError("another keeper was here first")
        marks = {mark_name(at.topic, part): offset for part, offset in positions.items()}
        facts = {
            "topic": at.topic,
            "offsets": {str(part): [at.marks[part], end] for part, end in positions.items()},
            "records": sum(map(len, runs)),
            "landed_at": clock.now().isoformat(),
        }
        crash_here(crash, "land.before_commit")
        handle.append(_table(runs), marks, facts)
        crash_here(crash, "land.after_commit")


def _table(runs: Sequence[Run]) -> pa.Table:
    """Write records as they came; nothing in them is looked at, so nobody has sent them yet."""
    values = [value for run in runs for value in run.values]
    none, nobody, nothing = [None] * len(values), [""] * len(values), [0] * len(values)
    entries: dict[str, Sequence[object]] = {
        **{name: [*none] for name in RECORD_SCHEMA.names},
        **{name: [*nobody] for name in ("key_id", "enterprise", "stream", "epoch", "attempt")},
        **{name: [*nothing] for name in ("rows", "landed", "quarantined")},
        **as_received(runs),
        "body": values,
        "digest": [canonical.digest(value or b"") for value in values],
        "contract": [contract_of(run.topic) for run in runs for _ in run.offsets],
        "verdict": [KEPT] * len(values),
    }
    return record_table(entries, [(run.headers, len(run)) for run in runs])


def kept(store: TableStore, contract: Contract) -> Iterator["Kept"]:
    """Give what was kept for a contract and has not landed, each life of its topic by itself."""
    topic = topic_of(contract.id)
    if not store.exists(table_of(topic)):
        return
    handle = store.open(table_of(topic))
    told = (each.facts for each in handle.commits())
    for topic_id in dict.fromkeys(str(facts["topic_id"]) for facts in told if "topic_id" in facts):
        found = Kept(store, handle, contract, topic_id)
        if found.extents([topic]):
            yield found


def kept_topics(store: TableStore) -> Iterator[tuple[str, TableHandle]]:
    """Give every topic of which records were kept, with its table."""
    for name in store.names():
        if name.startswith(KEPT_TABLE):
            yield PREFIX + name.removeprefix(KEPT_TABLE), store.open(name)


def notices(store: TableStore) -> Iterator[str]:
    """Tell of records that wait for a contract, or to be landed now that there is one."""
    contracts = all_contracts()
    for topic, handle in kept_topics(store):
        contract = contracts.get(contract_of(topic))
        count = sum(int(str(each.facts.get("records", 0))) for each in handle.commits())
        if contract is None and count:
            yield (
                f"{topic}: {count} records are kept, for no contract is for them;"
                " they land when there is one."
            )
        elif contract is not None and any(kept(store, contract)):
            yield f"{topic}: records that were kept are not landed yet; `nplusx land` lands them."


class Kept(Source):
    """One life of a topic as it was kept, to be read as if it were still on the bus."""

    def __init__(
        self, store: TableStore, handle: TableHandle, contract: Contract, topic_id: str
    ) -> None:
        self._store, self._handle, self._contract = store, handle, contract
        self._topic, self._id = topic_of(contract.id), topic_id
        self._name = filed_as(self._topic, handle.mark(f"{GENERATION}/{topic_id}") or 1)

    @override
    def extents(self, topics: Sequence[str]) -> Mapping[str, Extent]:
        """Tell how far it was kept; nothing if all of that has landed."""
        ends: dict[int, int] = {}
        for part in count():
            mark = self._handle.mark(mark_name(self._name, part))
            if mark is None:
                break
            ends[part] = mark
        spans = {part: (0, end) for part, end in ends.items()}
        if self._store.exists(self._contract.table):
            landing = self._store.open(self._contract.table)
            at = standing(landing, self._topic, Extent(self._id, spans))
            waits = at.is_behind
            # Of what has landed further the table knows more.
            spans = {part: (0, max(end, at.marks[part])) for part, (_, end) in spans.items()}
        else:
            waits = any(ends.values())
        return {topic: Extent(self._id, spans) for topic in topics if waits}

    @override
    def id_of(self, topic: str) -> str:
        """Tell the id of this life, which does not change."""
        return self._id

    @override
    def reader(self, topic: str, positions: Mapping[int, int]) -> Reader:
        """Read on from positions to where it was kept."""
        return _KeptReader(self._handle, self._name, positions)


class _KeptReader(Reader):
    """Reads a portion at a time; at the end its positions are those of the table."""

    def __init__(self, handle: TableHandle, name: str, positions: Mapping[int, int]) -> None:
        self._data, self._of = handle.dataset(), pc.field("topic") == name
        self._positions = dict(positions)
        self._ends = {part: handle.mark(mark_name(name, part)) or 0 for part in positions}
        self._portions = self._cut()

    def _cut(self) -> Iterator[tuple[int, int, int]]:
        """Cut what is left into portions of a bounded size: partition, first offset, last."""
        sizes = {
            "partition": pc.field("partition"),
            "offset": pc.field("offset"),
            "size": pc.binary_length(pc.field("body")),
        }
        for part, first in sorted(self._positions.items()):
            mine = self._of & (pc.field("partition") == part) & (pc.field("offset") >= first)
            rows = self._data.to_table(sizes, filter=mine).sort_by("offset")
            offsets: list[int] = []
            total = 0
            for offset, size in zip(
                *(rows[n].to_pylist() for n in ("offset", "size")), strict=True
            ):
                offsets.append(offset)
                total += size or 0
                if total >= _POLL_BYTES or len(offsets) == _POLL_RECORDS:
                    yield part, offsets[0], offsets[-1]
                    offsets, total = [], 0
            if offsets:
                yield part, offsets[0], offsets[-1]

    @override
    def poll(self, seconds: float) -> Polled:
        portion = next(self._portions, None)
        if portion is None:
            self._positions = {p: max(at, self._ends[p]) for p, at in self._positions.items()}
            return Polled((), dict(self._positions))
        part, first, last = portion
        span = (pc.field("offset") >= first) & (pc.field("offset") <= last)
        mine = self._of & (pc.field("partition") == part) & span
        rows = self._data.to_table(filter=mine).cast(RECORD_SCHEMA).sort_by("offset")
        self._positions[part] = last + 1
        records = [
            Received.of(
                (row["topic"], row["partition"], row["offset"]),
                row["broker_at"],
                row["key"],
                row["body"],
                tuple((each["name"], each["value"]) for each in row["headers"]),
            )
            for row in rows.to_pylist()
        ]
        return Polled(runs_of(records), dict(self._positions))

    @override
    def close(self) -> None:
        return

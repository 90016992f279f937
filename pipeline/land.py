"""Land: every record of the bus once into its landing table, or into quarantine with reasons."""

import gc
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

from bus.ports import Bus, Extent, Source
from bus.topics import contract_of, topic_of
from contracts.loader import all_contracts, find
from contracts.model import Contract
from kernel import clock
from kernel.errors import DependencyUnavailableError
from kernel.ids import ContractId
from kernel.log import logger
from pipeline import keep, lineage, replay, wiring
from pipeline.admission import Known
from pipeline.feed import Feed, reading
from pipeline.harvest import Harvest
from pipeline.intake import Intake
from pipeline.sequences import Sequences, earlier_in, sequence_mark
from pipeline.settings import Settings, read_settings
from pipeline.standing import Standing, mark_name, settled, standing
from pipeline.step import Step, judged
from warehouse.store import ConflictError, TableHandle, TableStore

# Each conflict means that another lander got on; so many in a row mean something else.
_RETRIES = 20
# How often one that follows looks for new partitions, and for a topic made anew.
LOOK_AGAIN_SECONDS = 30.0
# More tables that cannot be opened than others, and these: their place does not answer.
_BROKEN = 2
OnCommit = Callable[[Mapping[str, int]], None]


@dataclass(frozen=True, slots=True)
class Landed:
    """What one landing of one contract did."""

    contract: str
    contract_version: str
    table_version: int
    offsets: Mapping[str, tuple[int, int]]
    counts: Mapping[str, int]

    def as_extra(self) -> dict[str, object]:
        """Give the facts that travel with the asset event."""
        return {
            "table_version": self.table_version,
            "contract_id": self.contract,
            "contract_version": self.contract_version,
            "offsets": {part: list(span) for part, span in self.offsets.items()},
            "rows_in": self.counts.get("rows", 0),
            "rows_landed": self.counts.get("landed", 0),
            "rows_quarantined": self.counts.get("quarantined", 0),
        }


def standings(settings: Settings, bus: Bus) -> dict[ContractId, Standing]:
    """Tell, per topic of ours, where its table stands on it, as far as tables can be opened.

    Also where no contract is for it.
    """
    return _standings(bus, _handles(settings, bus)[0])


# By topic.
Handles = Mapping[str, TableHandle | None]
Broken = Mapping[str, DependencyUnavailableError]


def _handles(settings: Settings, bus: Bus) -> tuple[Handles, Broken]:
    """Open all tables; one that cannot be opened is not the trouble of the others."""
    store = wiring.store(settings)
    tables = {topic_of(contract): each.table for contract, each in all_contracts().items()}
    tables |= {topic: keep.table_of(topic) for topic in keep.unknown_topics(bus)}
    handles: dict[str, TableHandle | None] = {}
    broken: dict[str, DependencyUnavailableError] = {}
    for topic, table in tables.items():
        try:
            handles[topic] = _opened(store, table)
        except DependencyUnavailableError as why:
            broken[topic] = why
            if len(broken) > len(handles) + _BROKEN:
                raise
    return handles, broken


def opened(store: TableStore, contract: Contract) -> TableHandle | None:
    """Open a contract's table, if anything was landed in it."""
    return _opened(store, contract.table)


def _opened(store: TableStore, table: str) -> TableHandle | None:
    return store.open(table) if store.exists(table) else None


def _standings(bus: Bus, handles: Handles) -> dict[ContractId, Standing]:
    # The tables first: what they have read must be on the bus when that is asked.
    extents = bus.extents(list(handles))
    return {
        contract_of(topic): standing(handle, topic, extents[topic])
        for topic, handle in handles.items()
        if topic in extents
    }


def lag() -> dict[ContractId, Standing]:
    """Tell the same of the bus and the tables that the settings name, as far as they open."""
    settings = read_settings()
    with closing(wiring.bus(settings)) as bus:
        return standings(settings, bus)


def behind(settings: Settings | None = None) -> list[str]:
    """List what stands behind the bus or holds what waits; a new contract gets its topic.

    Also whatever cannot be told: landing it says why.
    """
    settings = settings or read_settings()
    with closing(wiring.bus(settings)) as bus:
        bus.ensure_topics(_topics())
        handles, broken = _handles(settings, bus)
        found = _standings(bus, handles)
    store = wiring.store(settings)
    waits = {
        each.id
        for each in all_contracts().values()
        if topic_of(each.id) in handles and _waits(store, each, handles[topic_of(each.id)])
    }
    late = {each for each, at in found.items() if at.is_behind}
    return sorted({*late, *waits, *map(contract_of, broken)})


def _waits(store: TableStore, contract: Contract, handle: TableHandle | None) -> bool:
    """Tell whether something waits that came before: in quarantine, or kept without a contract."""
    try:
        return replay.is_due(handle, contract) or any(keep.kept(store, contract))
    except DependencyUnavailableError:
        return True


def prepare_topics(settings: Settings) -> None:
    """Create the topic of every contract: agents may write, not create."""
    with closing(wiring.bus(settings)) as bus:
        bus.ensure_topics(_topics())


def _topics() -> list[str]:
    return [topic_of(identity) for identity in all_contracts()]


def land(
    contract: str, on_commit: OnCommit | None = None, stop: Event | None = None
) -> dict[str, object]:
    """Land what the bus holds of a contract now; safe to run twice, at once, or after a kill.

    What is on a topic that no contract is for is kept until there is one.
    """
    settings, stop = read_settings(), stop or Event()
    if contract not in all_contracts() and (kept := _keep(settings, contract, stop)) is not None:
        return kept.as_extra()
    found, store = find(contract), wiring.store(settings)
    with lineage.told(settings, "land.land_one") as run:
        if replay.is_due(opened(store, found), found):
            replay.replay(contract, settings=settings)
        with closing(wiring.bus(settings)) as bus:
            lander = Lander(settings, found, bus, store, partial(wiring.known, settings))
            lander.on_commit, lander.stop = on_commit, stop
            facts = lander.drain().as_extra()
        run.landed(topic_of(found.id), facts)
    return facts


def _keep(settings: Settings, unknown: str, stop: Event) -> Landed | None:
    """Keep what is on a topic without a contract, if there is such a topic."""
    with closing(wiring.bus(settings)) as bus:
        topic = topic_of(ContractId(unknown))
        if topic not in keep.unknown_topics(bus):
            return None
        read = keep.Keeper(settings, bus, wiring.store(settings), topic).drain(stop)
    version = wiring.store(settings).open(keep.table_of(topic)).version
    offsets = _offsets(read[0].marks, read[1].marks) if read else {}
    return Landed(unknown, "", version, offsets, {})


def _offsets(start: Mapping[int, int], end: Mapping[int, int]) -> dict[str, tuple[int, int]]:
    """Give the span that was read of each partition."""
    return {str(part): (start.get(part, 0), mark) for part, mark in end.items()}


def _live(stop: Event, until: float) -> Callable[[], bool]:
    return lambda: not stop.is_set() and clock.monotonic() < until


class Lander:
    """Lands one contract: `drain` to where the bus ended when it was called, `follow` for ever."""

    def __init__(
        self,
        settings: Settings,
        contract: Contract,
        bus: Bus,
        store: TableStore,
        known: Callable[[], Known],
    ) -> None:
        self._settings = settings.land
        self._contract = contract
        self._topic = topic_of(contract.id)
        self._bus = bus
        self._store = store
        self._known = known
        # Told of each commit's counts.
        self.on_commit: OnCommit | None = None
        # When it is set, what is being written is finished, and no more is begun.
        self.stop = Event()
        self._step = Step(store, contract, settings.crash.dir)

    def drain(self) -> Landed:
        """Land what was kept before there was a contract, then to where the bus ended."""
        counts = Counter[str]()
        spans: dict[str, tuple[Mapping[int, int], Mapping[int, int]]] = {}
        for source in (*keep.kept(self._store, self._contract), self._bus):
            if not self.stop.is_set() and (read := self._drain(source, counts)) is not None:
                start, end = read
                spans[end.topic] = spans.get(end.topic, (start.marks, {}))[0], end.marks
        handle = self._store.open(self._contract.table)
        logger("land").info("landed", contract=self._contract.id, **counts)
        # Of a topic that was made anew, what its last life held.
        offsets = _offsets(*spans.popitem()[1]) if spans else {}
        return Landed(
            self._contract.id, self._contract.version, handle.version, offsets, dict(counts)
        )

    def _drain(self, source: Source, counts: Counter[str]) -> tuple[Standing, Standing] | None:
        # The table first: what it has read must be on the bus when that is asked.
        handle = self._store.open(self._contract.table)
        extent = source.extents([self._topic]).get(self._topic)
        if extent is None:
            return None
        standing(handle, self._topic, extent).require_readable()
        start = at = self._settle(extent)
        conflicts = 0
        while at.is_behind and not self.stop.is_set():
            before = sum(counts.values())
            try:
                self._run(source, at, counts, lambda: False)
            except ConflictError as quicker:
                if source.id_of(self._topic) != extent.id:
                    return self._drain(source, counts)
                conflicts = 0 if sum(counts.values()) > before else conflicts + 1
                if conflicts > _RETRIES:
                    raise DependencyUnavailableError(
                        f"Other landers were quicker {conflicts} times.",
                        where=self._contract.table,
                        cure="run again; what they landed is landed.",
                    ) from quicker
            at = self._settle(extent)
        return start, at

    def follow(self, stop: Event) -> None:
        """Land what comes, as it comes, until told to stop; what was begun is finished."""
        self.stop = stop
        for source in keep.kept(self._store, self._contract):
            self._drain(source, Counter())
        while not stop.is_set():
            handle = self._store.open(self._contract.table)
            extent = self._bus.extents([self._topic]).get(self._topic)
            if extent is None:
                self._bus.ensure_topics([self._topic])
                continue
            standing(handle, self._topic, extent).require_readable()
            at = self._settle(extent)
            until = clock.monotonic() + LOOK_AGAIN_SECONDS
            with suppress(ConflictError):
                self._run(self._bus, at, Counter(), _live(stop, until))

    def _settle(self, extent: Extent) -> Standing:
        # Nothing waits yet of a new table that another version could have refused.
        first = {judged(self._contract): 1}
        return settled(self._store, self._contract.table, self._topic, extent, first)

    def _run(
        self, source: Source, at: Standing, counts: Counter[str], is_live: Callable[[], bool]
    ) -> None:
        """Go from a standing on: while one step is written, the next is judged."""

        def settle(written: Future[dict[str, int]] | None) -> None:
            if written is not None:
                counts.update(written.result())
                if self.on_commit is not None:
                    self.on_commit(written.result())

        # Records come by the hundred thousand and hold no cycles; to look for those at each 700
        # objects takes a third of the time in which records of one row are judged.
        gc.set_threshold(10_000, 20, 100)
        first = self._store.open(self._contract.table)
        sequences = Sequences(lambda *of: first.mark(sequence_mark(*of)))
        # What the table must say of the streams that this run has met.
        believed: dict[str, int | None] = {}
        pending: Future[dict[str, int]] | None = None
        with (
            reading(source, self._topic, at, self._settings, self.stop) as feed,
            ThreadPoolExecutor(1, thread_name_prefix="land-write") as writer,
        ):
            while not self.stop.is_set() and ((live := is_live()) or at.is_behind):
                runs, positions = feed.take(at, live=live)
                if not runs and positions == at.marks:
                    settle(pending)
                    pending = None
                    continue
                sequences.begin(earlier_in(self._store, self._contract))
                # Asked anew for each step: a key may be revoked while a backlog is landed.
                intake = Intake(self._contract, self._known(), self._settings, sequences)
                harvest = intake.take(runs)
                positions = feed.give_back(runs, harvest.records, positions)
                settle(pending)
                marks = sequences.marks()
                for name in marks:
                    believed.setdefault(name, first.mark(name))
                streams = dict(believed), marks
                pending = writer.submit(
                    self._write, feed, harvest, (at, positions), streams, sequences.holes
                )
                believed |= marks
                at = replace(at, marks=positions)
            settle(pending)

    def _write(
        self,
        feed: Feed,
        harvest: Harvest,
        span: tuple[Standing, Mapping[int, int]],
        streams: tuple[Mapping[str, int | None], Mapping[str, int]],
        holes: list[dict[str, object]],
    ) -> dict[str, int]:
        """Commit a step if the table still stands where it was judged to stand."""
        before, after = span
        feed.require_same()
        handle = self._store.open(self._contract.table)
        for part, mark in before.marks.items():
            if (handle.mark(mark_name(before.topic, part)) or 0) != mark:
                raise ConflictError("another lander was here first")
        believed, numbers = streams
        if any(handle.mark(name) != believed[name] for name in numbers):
            raise ConflictError("a replay numbered in the same stream")
        marks = {mark_name(before.topic, part): offset for part, offset in after.items()}
        facts = {
            "topic": before.topic,
            "offsets": {str(part): [before.marks[part], after[part]] for part in after},
            "holes": holes,
        }
        return self._step.write(handle, harvest, {**marks, **numbers}, facts)

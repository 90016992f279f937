"""Land: every record of the bus once into its landing table, or into quarantine with reasons."""

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace

from bus.envelope import claimed_rows
from bus.ports import Bus, Extent, Reader, Received
from bus.topics import topic_of
from contracts.loader import all_contracts, find
from contracts.model import Contract
from contracts.schema import landing_schema
from kernel import clock
from kernel.errors import DependencyUnavailableError
from kernel.ids import ContractId
from kernel.log import logger
from pipeline import lineage, replay, wiring
from pipeline.admission import Known
from pipeline.intake import Harvest, Intake
from pipeline.sequences import Sequences, earlier_in, moved, sequence_mark
from pipeline.settings import Settings, read_settings
from pipeline.standing import Standing, mark_name, standing
from pipeline.step import Step, judged
from warehouse.store import ConflictError, TableStore

# Each conflict means that another lander got on; so many in a row mean something else.
_RETRIES = 20
_EMPTY_POLL_SECONDS = 0.5


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
    """Tell, per contract with a topic, where its table stands on it."""
    store = wiring.store(settings)
    topics = {topic_of(identity): contract for identity, contract in all_contracts().items()}
    found: dict[ContractId, Standing] = {}
    for topic, extent in bus.extents(sorted(topics)).items():
        contract = topics[topic]
        handle = store.open(contract.table) if store.exists(contract.table) else None
        found[contract.id] = standing(handle, topic, extent)
    return found


def lag() -> dict[ContractId, Standing]:
    """Tell the same of the bus and the tables that the settings name."""
    settings = read_settings()
    with closing(wiring.bus(settings)) as bus:
        return standings(settings, bus)


def behind(settings: Settings | None = None) -> list[str]:
    """List the contracts whose table stands behind the bus; a new contract gets its topic."""
    settings = settings or read_settings()
    with closing(wiring.bus(settings)) as bus:
        bus.ensure_topics(_topics())
        found = standings(settings, bus)
    return sorted(contract for contract, at in found.items() if at.is_behind)


def prepare_topics(settings: Settings) -> None:
    """Create the topic of every contract: agents may write, not create."""
    with closing(wiring.bus(settings)) as bus:
        bus.ensure_topics(_topics())


def _topics() -> list[str]:
    return [topic_of(identity) for identity in all_contracts()]


def land(contract: str) -> dict[str, object]:
    """Land what the bus holds of a contract now; safe to run twice, at once, or after a kill."""
    settings = read_settings()

    def known() -> Known:
        return Known(wiring.keys(settings), wiring.enterprises(settings))

    found, store = find(contract), wiring.store(settings)
    with lineage.told(settings, "land.land_one") as run:
        if replay.is_due(store, found):
            replay.replay(contract, settings=settings)
        with closing(wiring.bus(settings)) as bus:
            landed = Lander(settings, found, bus, store, known).drain().as_extra()
        run.landed(topic_of(found.id), landed)
    return landed


class Lander:
    """Lands one contract; `drain` follows the bus to where it ended when it was called."""

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
        self._step = Step(store, contract, settings.crash.dir)

    def drain(self) -> Landed:
        """Land until the table stands where the bus ended."""
        counts = Counter[str]()
        extent = self._bus.extents([self._topic]).get(self._topic)
        if extent is None:
            return self._landed({}, {}, counts)
        start = at = self._settle(extent)
        conflicts = 0
        while at.is_behind:
            before = sum(counts.values())
            try:
                self._run(at, counts)
            except ConflictError as quicker:
                conflicts = 0 if sum(counts.values()) > before else conflicts + 1
                if conflicts > _RETRIES:
                    raise DependencyUnavailableError(
                        f"Other landers were quicker {conflicts} times.",
                        where=self._contract.table,
                        cure="run again; what they landed is landed.",
                    ) from quicker
            at = self._settle(extent)
        return self._landed(start.marks, at.marks, counts)

    def _settle(self, extent: Extent) -> Standing:
        """Find where to go on; what can no longer be read is told in a commit of its own."""
        while True:
            handle = self._store.open(self._contract.table)
            at = standing(handle, self._topic, extent)
            at.require_readable()
            if not at.news and not at.gaps:
                return at
            marks = {mark_name(at.topic, part): offset for part, offset in at.start.items()}
            if at.is_first:
                # Nothing waits yet that another version could have refused.
                marks[judged(self._contract)] = 1
            facts = {
                "contract": self._contract.id,
                "topic_id": extent.id,
                "gaps": [asdict(gap) for gap in at.gaps],
                "landed_at": clock.now().isoformat(),
            }
            with suppress(ConflictError):
                handle.append(
                    landing_schema(self._contract).empty_table(), {**marks, **at.news}, facts
                )

    def _landed(
        self, start: Mapping[int, int], marks: Mapping[int, int], counts: Counter[str]
    ) -> Landed:
        handle = self._store.open(self._contract.table)
        logger("land").info("landed", contract=self._contract.id, **counts)
        return Landed(
            self._contract.id,
            self._contract.version,
            handle.version,
            {str(part): (start[part], mark) for part, mark in marks.items()},
            dict(counts),
        )

    def _run(self, at: Standing, counts: Counter[str]) -> None:
        """Go from a standing to the ends: while one step is written, the next is judged."""
        first = self._store.open(self._contract.table)
        sequences = Sequences(lambda *of: first.mark(sequence_mark(*of)))
        pending: Future[dict[str, int]] | None = None
        with (
            closing(self._bus.reader(self._topic, at.marks)) as reader,
            ThreadPoolExecutor(1, thread_name_prefix="land-write") as writer,
        ):
            while at.is_behind:
                records, positions = self._read(reader, at)
                sequences.begin(earlier_in(self._store))
                # Asked anew for each step: a key may be revoked while a backlog is landed.
                intake = Intake(
                    self._contract, self._known(), self._settings.record_bytes, sequences
                )
                harvest = intake.take(records)
                counts.update(pending.result() if pending else {})
                pending = writer.submit(
                    self._write, harvest, (at, positions), dict(sequences.seen), sequences.holes
                )
                at = replace(at, marks=positions)
            counts.update(pending.result() if pending else {})

    def _read(self, reader: Reader, at: Standing) -> tuple[list[Received], dict[int, int]]:
        """Take records up to a step's size or age."""
        records: list[Received] = []
        positions = dict(at.marks)
        rows, size, started = 0, 0, clock.monotonic()
        while any(positions[part] < end for part, end in at.ends.items()):
            polled = reader.poll(_EMPTY_POLL_SECONDS)
            records += [replace(each, topic=at.topic) for each in polled.records]
            positions.update(polled.positions)
            rows += sum(claimed_rows(each) for each in polled.records)
            size += sum(len(each.value or b"") for each in polled.records)
            is_full = size > self._settings.commit_bytes or rows > self._settings.commit_rows
            aged = clock.monotonic() - started > self._settings.commit_seconds
            if records and (aged or is_full):
                break
        return records, positions

    def _write(
        self,
        harvest: Harvest,
        span: tuple[Standing, Mapping[int, int]],
        seen: Mapping[tuple[str, str], int],
        holes: list[dict[str, object]],
    ) -> dict[str, int]:
        """Commit a step if the table still stands where it was judged to stand."""
        before, after = span
        handle = self._store.open(self._contract.table)
        for part, mark in before.marks.items():
            if (handle.mark(mark_name(before.topic, part)) or 0) != mark:
                raise ConflictError("another lander was here first")
        marks = {mark_name(before.topic, part): offset for part, offset in after.items()}
        facts = {
            "topic": before.topic,
            "offsets": {str(part): [before.marks[part], after[part]] for part in after},
            "holes": holes,
        }
        self._step.write(handle, harvest, marks | moved(handle, seen), facts)
        return harvest.counts()

"""Land: every record of the bus once into its landing table, or into quarantine with reasons."""

import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace

import pyarrow as pa

from bus.ports import Bus, Extent, Received
from bus.topics import topic_of
from contracts.loader import all_contracts, find
from contracts.model import Contract
from contracts.schema import landing_schema
from kernel import canonical, clock
from kernel.errors import DependencyUnavailableError
from kernel.ids import ContractId
from kernel.log import logger
from pipeline import wiring
from pipeline.admission import Known
from pipeline.crashpoints import crash_here
from pipeline.intake import Harvest, Intake, Taken
from pipeline.sequences import Sequences, earlier_in
from pipeline.settings import Settings, read_settings
from pipeline.standing import Standing, mark_name, standing
from warehouse import quarantine
from warehouse.landing import RECORD_SCHEMA, RECORDS, REPEAT, month_of, record_table
from warehouse.store import ConflictError, TableHandle, TableStore

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
    with closing(wiring.bus(settings)) as bus:
        return Lander(settings, found, bus, store, known).drain().as_extra()


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
        self._settings = settings
        self._contract = contract
        self._topic = topic_of(contract.id)
        self._bus = bus
        self._store = store
        self._known = known
        self._store.create(contract.table, landing_schema(contract), ("_month",))
        self._store.create(RECORDS, RECORD_SCHEMA, ("contract", "_month"))
        self._store.create(quarantine.QUARANTINE, quarantine.SCHEMA, ("contract", "_month"))

    def drain(self) -> Landed:
        """Land until the table stands where the bus ended."""
        extent = self._bus.extents([self._topic]).get(self._topic)
        if extent is None:
            return self._landed({}, {}, Counter())
        at = self._settle(extent)
        start, counts = dict(at.marks), Counter[str]()
        conflicts = 0
        while any(at.marks[partition] < end for partition, end in at.ends.items()):
            try:
                at = replace(at, marks=self._step(at, counts))
                conflicts = 0
            except ConflictError as quicker:
                conflicts += 1
                if conflicts > _RETRIES:
                    raise DependencyUnavailableError(
                        f"Other landers were quicker {conflicts} times.",
                        where=self._contract.table,
                        cure="run again; what they landed is landed.",
                    ) from quicker
                at = self._settle(extent)
        return self._landed(start, at.marks, counts)

    def _settle(self, extent: Extent) -> Standing:
        """Find where to go on; what can no longer be read is told in a commit of its own."""
        while True:
            handle = self._store.open(self._contract.table)
            at = standing(handle, self._topic, extent)
            at.require_readable()
            if not at.news and not at.gaps:
                return at
            marks = {mark_name(at.topic, part): offset for part, offset in at.start.items()}
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

    def _step(self, at: Standing, counts: Counter[str]) -> Mapping[int, int]:
        """Read one commit's worth of records, judge them, write them: one decision."""
        records, positions = self._read(at)
        handle = self._store.open(self._contract.table)
        if any((handle.mark(mark_name(at.topic, p)) or 0) != at.marks[p] for p in at.marks):
            raise ConflictError("another lander was here first")
        sequences = self._sequences(handle)
        # Asked anew for each commit: a key may be revoked while a backlog is landed.
        largest = self._settings.land.record_bytes
        intake = Intake(self._contract, self._known(), largest, sequences)
        harvest = intake.take(records)
        self._write(handle, harvest, (at, positions), sequences)
        counts.update(harvest.counts())
        return positions

    def _read(self, at: Standing) -> tuple[list[Received], dict[int, int]]:
        """Take records up to a commit's size or age, none of them beyond the ends."""
        records: list[Received] = []
        positions = dict(at.marks)
        size, started = 0, clock.monotonic()
        reader = self._bus.reader(self._topic, at.marks)
        try:
            while any(positions[part] < end for part, end in at.ends.items()):
                polled = reader.poll(_EMPTY_POLL_SECONDS)
                records += [replace(each, topic=at.topic) for each in polled.records]
                positions.update(polled.positions)
                size += sum(len(each.value or b"") for each in polled.records)
                aged = clock.monotonic() - started > self._settings.land.commit_seconds
                if records and (aged or size > self._settings.land.commit_bytes):
                    break
        finally:
            reader.close()
        return records, positions

    def _sequences(self, handle: TableHandle) -> Sequences:
        def last(stream: str, epoch: str) -> int | None:
            return handle.mark(f"seq/{stream}/{epoch}")

        return Sequences(last, earlier_in(self._store))

    def _write(
        self,
        handle: TableHandle,
        harvest: Harvest,
        span: tuple[Standing, Mapping[int, int]],
        sequences: Sequences,
    ) -> None:
        """Write records and refused rows under an attempt; the landing commit names it."""
        crash = self._settings.crash.dir
        attempt = secrets.token_hex(8)
        crash_here(crash, "land.before_write")
        records = _record_table(harvest.taken, self._contract, attempt)
        self._store.open(RECORDS).append(records, {}, {"attempt": attempt})
        if harvest.refused:
            rows = quarantine.table_of(harvest.refused, attempt)
            self._store.open(quarantine.QUARANTINE).append(rows, {}, {"attempt": attempt})
        crash_here(crash, "land.before_commit")
        schema = landing_schema(self._contract)
        before, after = span
        marks = {mark_name(before.topic, part): offset for part, offset in after.items()}
        marks |= {f"seq/{s}/{epoch}": n for (s, epoch), n in sequences.seen.items()}
        facts = {
            "contract": self._contract.id,
            "contract_version": self._contract.version,
            "contract_digest": self._contract.digest,
            "attempt": attempt,
            "topic": before.topic,
            "offsets": {str(part): [before.marks[part], after[part]] for part in after},
            "batch_digest": canonical.digest_of([each.digest for each in harvest.taken]),
            "counts": harvest.counts(),
            "holes": sequences.holes,
            "landed_at": clock.now().isoformat(),
        }
        rows = pa.concat_tables([schema.empty_table(), *harvest.landed])
        handle.append(rows, marks, facts)
        crash_here(crash, "land.after_commit")


def _record_table(taken: list[Taken], contract: Contract, attempt: str) -> pa.Table:
    """Write signed records as they were received; of a repeat the body is kept already."""
    records = [each.record for each in taken]
    entries: dict[str, list[object]] = {
        "topic": [each.topic for each in records],
        "partition": [each.partition for each in records],
        "offset": [each.offset for each in records],
        "broker_at": [each.broker_at for each in records],
        "key": [each.key for each in records],
        "body": [None if each.verdict == REPEAT else each.record.value for each in taken],
        "digest": [each.digest for each in taken],
        "key_id": [each.sender.key_id for each in taken],
        "enterprise": [each.sender.enterprise for each in taken],
        "stream": [each.sender.stream for each in taken],
        "epoch": [each.epoch for each in taken],
        "sequence": [each.envelope.sequence for each in taken],
        "contract": [contract.id] * len(taken),
        "rows": [each.rows for each in taken],
        "landed": [each.landed_rows for each in taken],
        "quarantined": [each.refused_rows for each in taken],
        "verdict": [each.verdict for each in taken],
        "attempt": [attempt] * len(taken),
        "_month": [month_of(each.broker_at) for each in records],
    }
    return record_table(entries, [each.headers for each in records])

"""Land: every record of the bus once into its landing table, or into quarantine with reasons."""

import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from bus.ports import Bus, Received
from bus.topics import topic_of
from contracts.loader import all_contracts, find
from contracts.model import Contract
from contracts.schema import landing_schema
from kernel import canonical, clock
from kernel.errors import DependencyUnavailableError
from kernel.log import logger
from pipeline import wiring
from pipeline.admission import Known
from pipeline.crashpoints import crash_here
from pipeline.intake import Intake, Outcome, record_row
from pipeline.sequences import Sequences, earlier_in
from pipeline.settings import Settings, read_settings
from warehouse import quarantine
from warehouse.landing import RECORD_SCHEMA, RECORDS, REPEAT
from warehouse.store import ConflictError, TableHandle, TableStore

Offsets = dict[str, int]
_RETRIES = 5
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


def mark_name(topic: str, partition: int) -> str:
    """Name the watermark of a partition: the next offset to read."""
    return f"land/{topic}/{partition}"


def lag(settings: Settings | None = None) -> dict[str, tuple[Offsets, Offsets]]:
    """Tell, per contract with a topic, where the bus ends and where the table stands."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    topics = {topic_of(identity): contract for identity, contract in all_contracts().items()}
    found: dict[str, tuple[Offsets, Offsets]] = {}
    with closing(wiring.bus(settings)) as bus:
        ends = bus.ends(sorted(topics))
    for topic, spans in ends.items():
        contract = topics[topic]
        handle = store.open(contract.table) if store.exists(contract.table) else None
        marks = _marks(handle, topic, {part: first for part, (first, _) in spans.items()})
        found[contract.id] = (
            {str(part): end for part, (_, end) in spans.items()},
            {str(part): mark for part, mark in marks.items()},
        )
    return found


def prepare_topics(settings: Settings | None = None) -> None:
    """Create the topic of every contract: agents may write, not create."""
    settings = settings or read_settings()
    with closing(wiring.bus(settings)) as bus:
        bus.ensure_topics([topic_of(identity) for identity in all_contracts()])


def behind(settings: Settings | None = None) -> list[str]:
    """List the contracts whose table stands behind the bus; a new contract gets its topic."""
    prepare_topics(settings)
    return sorted(contract for contract, (ends, marks) in lag(settings).items() if ends != marks)


def land(contract: str) -> dict[str, object]:
    """Land what the bus holds of a contract now; safe to run twice, at once, or after a kill."""
    settings = read_settings()

    def known() -> Known:
        return Known(wiring.keys(settings), wiring.enterprises(settings))

    found, store = find(contract), wiring.store(settings)
    with closing(wiring.bus(settings)) as bus:
        return Lander(settings, found, bus, store, known).drain().as_extra()


def _marks(handle: TableHandle | None, topic: str, firsts: Mapping[int, int]) -> dict[int, int]:
    """Read the next offset of each partition: the table's watermark, else the first there is."""
    marks: dict[int, int] = {}
    for partition, first in firsts.items():
        mark = handle.mark(mark_name(topic, partition)) if handle else None
        marks[partition] = first if mark is None else mark
    return marks


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
        spans = self._bus.ends([self._topic]).get(self._topic, {})
        ends = {partition: end for partition, (_, end) in spans.items()}
        firsts = {partition: first for partition, (first, _) in spans.items()}
        start = _marks(self._store.open(self._contract.table), self._topic, firsts)
        marks = dict(start)
        counts: Counter[str] = Counter()
        conflicts = 0
        while any(marks[partition] < end for partition, end in ends.items()):
            try:
                marks = self._step(marks, ends, counts)
            except ConflictError as quicker:
                conflicts += 1
                if conflicts > _RETRIES:
                    raise DependencyUnavailableError(
                        f"Other landers were quicker {conflicts} times.",
                        where=self._contract.table,
                        cure="run again; what they landed is landed.",
                    ) from quicker
                marks = _marks(self._store.open(self._contract.table), self._topic, firsts)
        handle = self._store.open(self._contract.table)
        logger("land").info("landed", contract=self._contract.id, **counts)
        return Landed(
            self._contract.id,
            self._contract.version,
            handle.version,
            {str(part): (start[part], mark) for part, mark in marks.items()},
            dict(counts),
        )

    def _step(
        self, marks: dict[int, int], ends: Mapping[int, int], counts: Counter[str]
    ) -> dict[int, int]:
        """Read one commit's worth of records, judge them, write them: one decision."""
        records, positions = self._read(marks, ends)
        handle = self._store.open(self._contract.table)
        found = {part: handle.mark(mark_name(self._topic, part)) for part in marks}
        if any(mark is not None and mark != marks[part] for part, mark in found.items()):
            raise ConflictError("another lander was here first")
        sequences = self._sequences(handle)
        # Asked anew for each commit: a key may be revoked while a backlog is landed.
        largest = self._settings.land.record_bytes
        intake = Intake(self._contract, self._known(), largest, sequences)
        outcomes = [intake.take(record) for record in records]
        self._write(handle, outcomes, (marks, positions), sequences)
        counts.update(_counts(outcomes))
        return positions

    def _read(
        self, marks: Mapping[int, int], ends: Mapping[int, int]
    ) -> tuple[list[Received], dict[int, int]]:
        """Take records up to a commit's size or age, none of them beyond the ends."""
        records: list[Received] = []
        positions = dict(marks)
        size, started = 0, clock.monotonic()
        reader = self._bus.reader(self._topic, marks)
        try:
            while any(positions[part] < end for part, end in ends.items()):
                polled = reader.poll(_EMPTY_POLL_SECONDS)
                records.extend(polled.records)
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
        outcomes: list[Outcome],
        span: tuple[Mapping[int, int], Mapping[int, int]],
        sequences: Sequences,
    ) -> None:
        """Write records and refused rows under an attempt; the landing commit names it."""
        crash = self._settings.crash.dir
        attempt = secrets.token_hex(8)
        crash_here(crash, "land.before_write")
        entries = [record_row(each, self._contract, attempt) for each in outcomes]
        self._store.open(RECORDS).append(
            pa.Table.from_pylist(entries, schema=RECORD_SCHEMA), {}, {"attempt": attempt}
        )
        refused = [row for each in outcomes for row in each.refused]
        if refused:
            rows = quarantine.table_of(refused, attempt)
            self._store.open(quarantine.QUARANTINE).append(rows, {}, {"attempt": attempt})
        crash_here(crash, "land.before_commit")
        schema = landing_schema(self._contract)
        landed = [each.landed for each in outcomes if each.landed is not None]
        before, after = span
        marks = {mark_name(self._topic, part): offset for part, offset in after.items()}
        marks |= {f"seq/{s}/{epoch}": n for (s, epoch), n in sequences.seen.items()}
        facts = {
            "contract": self._contract.id,
            "contract_version": self._contract.version,
            "contract_digest": self._contract.digest,
            "attempt": attempt,
            "offsets": {str(part): [before[part], after[part]] for part in after},
            "batch_digest": canonical.digest_of([each.digest for each in outcomes]),
            "counts": _counts(outcomes),
            "holes": sequences.holes,
            "landed_at": clock.now().isoformat(),
        }
        rows = pa.concat_tables(landed) if landed else schema.empty_table()
        handle.append(rows, marks, facts)
        crash_here(crash, "land.after_commit")


def _counts(outcomes: list[Outcome]) -> dict[str, int]:
    """Count rows by outcome, and records."""
    return {
        "records": len(outcomes),
        "rows": sum(each.rows for each in outcomes),
        "landed": sum(0 if each.landed is None else each.landed.num_rows for each in outcomes),
        "quarantined": sum(row.rows for each in outcomes for row in each.refused),
        "repeats": sum(each.rows for each in outcomes if each.verdict == REPEAT),
    }

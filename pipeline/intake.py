"""Records of the bus in, rows out: landed, quarantined with reasons, or a proven repeat."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from bus import envelope as envelopes
from bus.envelope import Envelope
from bus.ports import Headers, Received
from contracts import decode, gate
from contracts.decode import Loose, UndecodableError
from contracts.drift import Drift
from contracts.model import Contract
from contracts.schema import landing_schema
from contracts.violations import Kind
from kernel import canonical
from kernel.log import logger
from pipeline import opening
from pipeline.admission import Head, Known, Refusal, Sender, read_head
from pipeline.sequences import Arrival, Place, Sequences
from pipeline.settings import LandSettings
from warehouse.landing import (
    JUDGED,
    LANDED,
    PARTIAL,
    QUARANTINED,
    REFUSED,
    REPEAT,
    TOMBSTONE,
    with_lineages,
)
from warehouse.quarantine import WHOLE_RECORD, Refused

# What libraries raise on values that no promise foresaw: huge, nested, of foreign types.
_ODD = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError, pa.ArrowException)
# Begins the stream of a record that nobody has proven to be of.
UNVERIFIED = "unverified/"
# Below so many, bodies are read one by one rather than halved again to find the odd one.
_FEW = 16


@dataclass(slots=True)
class Taken:
    """A record with what its headers say, who sent it, and what became of it."""

    record: Received
    envelope: Envelope
    digest: str
    sender: Sender
    faults: tuple[Kind, ...] = ()
    verdict: str = ""
    rows: int = 0
    refused_rows: int = 0
    drift: frozenset[Drift] = frozenset()
    # When it is judged again: the rows that wait in quarantine. The others have landed.
    waits: Collection[int] = frozenset()

    @property
    def landed_rows(self) -> int:
        """Tell how many of its rows are in the table."""
        return self.rows - self.refused_rows if self.verdict in JUDGED else 0

    @property
    def epoch(self) -> str:
        """Name the life of the outbox that numbered it."""
        return self.envelope.epoch

    @property
    def number(self) -> tuple[str, str, int] | None:
        """Give stream, epoch and sequence, when the sender counts."""
        sequence = self.envelope.sequence
        if sequence is None or not self.epoch:
            return None
        return self.sender.stream, self.epoch, sequence

    @property
    def claimed_rows(self) -> int:
        """Tell how many rows it says that it holds, as far as a body can."""
        return min(self.envelope.row_count or 1, decode.MOST_ROWS)

    def refuse(self, *kinds: Kind) -> None:
        """Refuse the record as a whole."""
        self.faults = tuple(dict.fromkeys((*self.faults, *kinds)))
        self.verdict = REFUSED
        # What nobody proven to be somebody claims counts for one.
        self.rows = self.refused_rows = self.claimed_rows if self.sender.enterprise else 1


@dataclass(frozen=True, slots=True)
class Harvest:
    """What a run of records gave."""

    taken: list[Taken]
    landed: list[pa.Table]
    refused: list[Refused]

    def counts(self) -> dict[str, int]:
        """Count rows by outcome, and records."""
        # Lists: this is asked of every record.
        return {
            "records": len(self.taken),
            "rows": sum([each.rows for each in self.taken]),
            "landed": sum([each.landed_rows for each in self.taken]),
            "quarantined": sum([each.refused_rows for each in self.taken]),
            "repeats": sum([each.rows for each in self.taken if each.verdict == REPEAT]),
        }


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows read together, and the records that they came in, one after the other."""

    loose: Loose
    owners: list[Taken]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Intake:
    """What is needed to judge the records of one contract."""

    contract: Contract
    known: Known
    limits: LandSettings
    sequences: Sequences
    refused: list[Refused] = field(default_factory=list)
    heads: dict[tuple[str, bytes | None, Headers], Head] = field(default_factory=dict)
    # Places of records whose bodies open, and only the judging found that they cannot be read.
    odd: set[tuple[str, int, int]] = field(default_factory=set)

    def take(self, records: Sequence[Received]) -> Harvest:
        """Judge records in their order; those whose columns are alike are judged in one go.

        The last ones are left where their bodies unfold to more than a step may hold.
        """
        harvest = self._take(records)
        if self.odd:
            # Their numbers are free for others of this step: find all that are odd, then place
            # everything again.
            records = records[: len(harvest.taken)]
            self._forget()
            _, parts = self._open(records)
            for _ in (table for group in _alike(parts) for table in self._judge(group)):
                continue
            self._forget()
            harvest = self._take(records)
        return harvest

    def _forget(self) -> None:
        self.refused.clear()
        self.sequences.forget()

    def _take(self, records: Sequence[Received]) -> Harvest:
        taken, parts = self._open(records)
        for each in taken:
            self._place(each)
        kept = [part for each in parts if (part := _undecided(each))]
        landed = [table for group in _alike(kept) for table in self._judge(group)]
        return Harvest(taken, landed, [*self._whole(taken), *self.refused])

    def reopen(
        self, records: Sequence[Received], waiting: Mapping[tuple[str, int, int], Collection[int]]
    ) -> tuple[list[Taken], list[pa.Table]]:
        """Judge again the rows that wait of records whose place in their streams is settled."""
        taken, parts = self._open(records)
        for each in taken:
            each.waits = waiting[each.record.place]
            if each.faults:
                each.refuse()
        kept = [part for each in parts if (part := _undecided(each))]
        return taken, [table for group in _alike(kept) for table in self._judge(group)]

    def _admit(self, record: Received) -> Taken:
        """Settle who sent a record and whether it is of its form; nothing is opened yet."""
        head, digest = self._head(record), canonical.digest(record.value or b"")
        faults, sender = head.faults_with(digest), head.sender
        if len(record.value or b"") > self.limits.record_bytes:
            faults = (Kind.TOO_LARGE, *faults)
        if record.value is not None and isinstance(sender, Sender):
            return Taken(record, head.envelope, digest, sender, faults)
        # Nobody has proven to be who the record says: it must not count as that stream.
        claimed = f"{UNVERIFIED}{envelopes.stream_id(record, head.envelope)}"
        taken = Taken(record, head.envelope, digest, Sender("", "", claimed, ""), faults)
        if record.value is None:
            taken.faults, taken.verdict = (), TOMBSTONE
        elif isinstance(sender, Refusal):
            taken.refuse(*sender.kinds)
        return taken

    def _head(self, record: Received) -> Head:
        """Read the headers; those of a sender that neither signs nor counts are always the same."""
        said = record.topic, record.key, record.headers
        head = self.heads.get(said)
        if head is None:
            head = read_head(record, self.contract, self.known)
            # A signature counts from when to when its key does, by the record's own time.
            if not head.envelope.get("ce_signature"):
                self.heads[said] = head
        return head

    def _place(self, taken: Taken) -> None:
        """Tell repeats and forks from news, in the order in which the records came."""
        if taken.verdict:
            return
        number = taken.number
        if number is None:
            if taken.faults:
                taken.refuse()
            return
        came = Arrival(taken.digest, taken.record.headers, keeps_number=False)
        place = self.sequences.place(*number, came)
        if place is Place.REPEAT:
            taken.verdict, taken.rows = REPEAT, taken.claimed_rows
            return
        if place is Place.FORK and not taken.faults:
            taken.faults = (Kind.FORK,)
        if taken.faults:
            taken.refuse()
        keeps = Arrival(came.digest, came.headers, keeps_number=not taken.faults)
        self.sequences.note(*number, keeps)

    def _open(self, records: Sequence[Received]) -> tuple[list[Taken], list[_Part]]:
        """Admit records and open their bodies, until a step holds what it may.

        A body that cannot be opened is a fault of its record.
        """
        taken: list[Taken] = []
        parts: list[_Part] = []
        singles: list[Taken] = []
        room, rows = self.limits.commit_bytes, self.limits.commit_rows
        for record in records:
            if room <= 0 or rows <= 0:
                break
            each = self._admit(record)
            taken.append(each)
            room -= record.size
            if self.odd and record.place in self.odd and not each.verdict:
                each.faults = (*each.faults, Kind.UNDECODABLE)
            if each.verdict or each.faults:
                continue
            # Only one object alone is one row whatever it holds.
            told = each.envelope.content_type, each.envelope.encoding, (record.value or b"")[:1]
            if told == (envelopes.JSON, "", b"{"):
                rows -= 1
                singles.append(each)
                continue
            for part in self._read_one(each):
                room, rows = room - part.loose.size, rows - part.loose.count
                parts.append(part)
        return taken, [*parts, *self._read_singles(singles)]

    def _read_singles(self, taken: list[Taken]) -> Iterator[_Part]:
        """Read JSON bodies together as far as they are plain, the others one by one."""
        if len(taken) <= _FEW:
            for each in taken:
                yield from self._read_one(each)
            return
        bodies = [each.record.value or b"" for each in taken]
        loose = decode.read_json_singles(bodies, self.contract)
        if loose is None:
            half = len(taken) // 2
            yield from self._read_singles(taken[:half])
            yield from self._read_singles(taken[half:])
            return
        for each in taken:
            _count(each, 1)
        yield _Part(loose, taken, [1] * len(taken))

    def _read_one(self, taken: Taken) -> Iterator[_Part]:
        try:
            loose = opening.opened(taken.record, taken.envelope, self.contract)
        except (UndecodableError, *_ODD):
            taken.faults = (Kind.UNDECODABLE,)
            return
        _count(taken, loose.count)
        taken.drift = loose.drift
        if not taken.faults:
            yield _Part(loose, [taken], [loose.count])

    def _judge(self, parts: list[_Part]) -> Iterator[pa.Table]:
        try:
            yield self._split(parts)
        except _ODD as odd:
            logger("land").error("rows could not be judged", contract=self.contract.id, why=odd)
            # One hostile record must not stop the others: it waits in quarantine as it is.
            if len(parts) > 1:
                for part in parts:
                    yield from self._judge([part])
            else:
                for owner in parts[0].owners:
                    owner.refuse(Kind.UNDECODABLE)
                    self.odd.add(owner.record.place)

    def _split(self, parts: list[_Part]) -> pa.Table:
        """Judge all rows at once, and give each record its own."""
        decoded = decode.settle([part.loose for part in parts], self.contract)
        owners = [owner for part in parts for owner in part.owners]
        starts = [0]
        for count in (count for part in parts for count in part.counts):
            starts.append(starts[-1] + count)
        place = pa.array(starts, pa.int32())
        owner_of = pc.list_parent_indices(
            pa.ListArray.from_arrays(place, pa.nulls(starts[-1]))
        ).cast(pa.int32())
        held = {starts[at] + row for at, each in enumerate(owners) for row in each.waits}
        verdict = gate.judge(decoded.rows, self.contract, decoded.faults, owner_of, held)
        accepted = verdict.accepted()
        owner = owner_of.take(accepted)
        sent = [(each.record, each.envelope, each.sender, each.digest) for each in owners]
        landed = with_lineages(
            decoded.rows.take(accepted) if verdict.refused else decoded.rows,
            pc.subtract(accepted, place.take(owner)),
            (opening.lineage(sent), owner),
            opening.notes(decoded, verdict, accepted),
            landing_schema(self.contract),
        )
        rows = list(verdict.refused)
        bad = pa.array(rows, pa.int32())
        blamed = owner_of.take(bad).to_pylist()
        mine = Counter(at for row, at in zip(rows, blamed, strict=True) if row in held or not held)
        keys = decoded.rows.select(list(self.contract.key)).take(bad).to_pylist()
        for row, at, key, raw in zip(rows, blamed, keys, decoded.raw(rows), strict=True):
            reasons = tuple(each.code for each in verdict.refused[row])
            name = canonical.dumps(key).decode()
            self.refused.append(self._refused(owners[at], (row - starts[at], raw), reasons, name))
        for at, each in enumerate(owners):
            each.refused_rows = mine[at]
            each.verdict = (
                LANDED if not mine[at] else PARTIAL if mine[at] < each.rows else QUARANTINED
            )
        return landed

    def _whole(self, taken: list[Taken]) -> list[Refused]:
        """Quarantine whole records as the bytes that they are."""
        return [
            self._refused(
                each, (WHOLE_RECORD, each.record.value or b""), tuple(map(str, each.faults)), ""
            )
            for each in taken
            if each.verdict == REFUSED
        ]

    def _refused(
        self, taken: Taken, row: tuple[int, bytes], reasons: tuple[str, ...], key: str
    ) -> Refused:
        record, envelope = taken.record, taken.envelope
        number, raw = row
        return Refused(
            contract=self.contract.id,
            contract_version=envelope.contract_version,
            enterprise=taken.sender.enterprise,
            stream=taken.sender.stream,
            epoch=taken.epoch,
            sequence=envelope.sequence,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            row=number,
            rows=taken.rows if number == WHOLE_RECORD else 1,
            business_key=key,
            reasons=reasons,
            raw=raw,
            first_seen_at=record.broker_at,
        )


def _count(taken: Taken, rows: int) -> None:
    """Compare the number of rows with the one that the sender claims."""
    if taken.envelope.row_count not in {None, rows}:
        taken.faults = (Kind.ROW_COUNT,)
    else:
        taken.rows = rows


def _undecided(part: _Part) -> _Part | None:
    """Leave out the rows of records that were found to be repeats, forks or faulty."""
    keep = [not owner.verdict for owner in part.owners]
    if all(keep):
        return part
    if not any(keep):
        return None
    # Only bodies of one row each are read together.
    rows = [row for row, kept in enumerate(keep) if kept]
    return _Part(part.loose.only(rows), [part.owners[row] for row in rows], [1] * len(rows))


def _alike(parts: list[_Part]) -> Iterator[list[_Part]]:
    """Group parts whose columns are of the same types."""
    groups: dict[str, list[_Part]] = {}
    for part in parts:
        schema = part.loose.columns.schema.remove_metadata()
        groups.setdefault(schema.to_string(show_field_metadata=False), []).append(part)
    yield from groups.values()

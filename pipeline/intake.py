"""Records of the bus in, rows out: landed, quarantined with reasons, or a proven repeat."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, groupby

import pyarrow as pa
import pyarrow.compute as pc

from bus import envelope as envelopes
from bus.envelope import Envelope
from bus.ports import Headers, Received, Run
from contracts import decode, gate
from contracts.decode import Loose, UndecodableError
from contracts.model import Contract
from contracts.schema import landing_schema
from contracts.violations import Kind
from kernel import canonical
from kernel.log import logger
from pipeline import opening
from pipeline.admission import Head, Known, Refusal, Sender, read_head
from pipeline.harvest import Harvest, Taken, parted
from pipeline.sequences import Arrival, Place, Sequences
from pipeline.settings import LandSettings
from warehouse.landing import (
    REFUSED,
    REPEAT,
    TOMBSTONE,
    spread,
    with_lineages,
)
from warehouse.quarantine import WHOLE_RECORD, Refused

# What libraries raise on values that no promise foresaw: huge, nested, of foreign types.
_ODD = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError, pa.ArrowException)
# Begins the stream of a record that nobody has proven to be of.
UNVERIFIED = "unverified/"
# Below so many, bodies are read one by one rather than halved again to find the odd one.
_FEW = 16
# Headers that speak of one record, and none like it.
_OF_ONE = ("ce_signature", "ce_bodydigest")


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows read together, and the records that they came in, one after the other."""

    loose: Loose
    owners: list[Taken]
    # The rows of each record.
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

    def take(self, runs: Iterable[Run]) -> Harvest:
        """Judge records in their order; those whose columns are alike are judged in one go.

        The last ones are left where their bodies unfold to more than a step may hold.
        """
        harvest = self._take(runs)
        if self.odd:
            # Their numbers are free for others of this step: find all that are odd, then place
            # everything again.
            runs = [one for each in harvest.taken for one in each.run.alone()]
            self._forget()
            _, parts = self._open(runs)
            for _ in (table for group in _alike(parts) for table in self._judge(group)):
                continue
            self._forget()
            harvest = self._take(runs)
        return harvest

    def _forget(self) -> None:
        self.refused.clear()
        self.sequences.forget()

    def _take(self, runs: Iterable[Run]) -> Harvest:
        taken, parts = self._open(runs)
        for each in taken:
            self._place(each)
        kept = [part for each in parts if (part := _undecided(each))]
        landed = [table for group in _alike(kept) for table in self._judge(group)]
        taken = list(parted(taken))
        return Harvest(taken, landed, [*self._whole(taken), *self.refused])

    def reopen(
        self, runs: Iterable[Run], waiting: Mapping[tuple[str, int, int], Collection[int]]
    ) -> tuple[list[Taken], list[pa.Table]]:
        """Judge again the rows that wait of records whose place in their streams is settled."""
        taken, parts = self._open(runs)
        for each in taken:
            each.waits = waiting[each.record.place]
            if each.faults:
                each.refuse()
        kept = [part for each in parts if (part := _undecided(each))]
        return taken, [table for group in _alike(kept) for table in self._judge(group)]

    def _likenesses(self, run: Run) -> Iterator[Run]:
        """Part a run into what is judged alike: plain objects, or else a record by itself."""
        if len(run) == 1:
            yield run
            return
        envelope, most = self._head(run).envelope, self.limits.record_bytes
        names_one = envelope.sequence is not None or any(map(envelope.get, _OF_ONE))
        may_be = _is_json(envelope) and not names_one
        plain = [
            may_be and (value or b"")[:1] == b"{" and len(value or b"") <= most
            for value in run.values
        ]
        for is_plain, some in groupby(range(len(run)), plain.__getitem__):
            places = list(some)
            part = run.part(places[0], places[-1] + 1)
            yield from [part] if is_plain else part.alone()

    def _admit(self, run: Run) -> Taken:
        """Settle who sent records and whether they are of their form; nothing is opened yet."""
        head, value = self._head(run), run.values[0]
        digests = [canonical.digest(each or b"") for each in run.values]
        faults, sender = head.faults_with(digests[0]), head.sender
        if len(value or b"") > self.limits.record_bytes:
            faults = (Kind.TOO_LARGE, *faults)
        if value is not None and isinstance(sender, Sender):
            return Taken(run, head.envelope, digests, sender, faults)
        # Nobody has proven to be who the record says: it must not count as that stream.
        claimed = f"{UNVERIFIED}{envelopes.stream_id(run.at(0), head.envelope)}"
        taken = Taken(run, head.envelope, digests, Sender("", "", claimed, ""), faults)
        if value is None:
            taken.faults, taken.verdict = (), TOMBSTONE
        elif isinstance(sender, Refusal):
            taken.refuse(*sender.kinds)
        return taken

    def _head(self, run: Run) -> Head:
        """Read the headers; those of a sender that neither signs nor counts are always the same."""
        said = run.topic, run.key, run.headers
        head = self.heads.get(said)
        if head is None:
            head = read_head(run.at(0), self.contract, self.known)
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
        came = Arrival(taken.digests[0], taken.run.headers, keeps_number=False)
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

    def _open(self, runs: Iterable[Run]) -> tuple[list[Taken], list[_Part]]:
        """Admit records and open their bodies, until a step holds what it may.

        A body that cannot be opened is a fault of its record.
        """
        taken: list[Taken] = []
        parts: list[_Part] = []
        singles: list[Taken] = []
        room, rows = self.limits.commit_bytes, self.limits.commit_rows
        for run in (part for each in runs for part in self._likenesses(each)):
            if room <= 0 or rows <= 0:
                break
            each = self._admit(run)
            taken.append(each)
            room -= sum(run.sizes)
            if self.odd and each.record.place in self.odd and not each.verdict:
                each.faults = (*each.faults, Kind.UNDECODABLE)
            if each.verdict or each.faults:
                continue
            # Only one object alone is one row whatever it holds.
            if _is_json(each.envelope) and (run.values[0] or b"")[:1] == b"{":
                rows -= len(run)
                singles.append(each)
                continue
            for part in self._read_one(each):
                room, rows = room - part.loose.size, rows - part.loose.count
                parts.append(part)
        parts += self._read_singles(singles)
        return list(parted(taken)), parts

    def _read_singles(self, taken: list[Taken]) -> Iterator[_Part]:
        """Read JSON bodies together as far as they are plain, the others one by one."""
        bodies = [value or b"" for each in taken for value in each.run.values]
        if len(bodies) <= _FEW:
            for one in (one for each in taken for one in each.cut(range(len(each.run)))):
                yield from self._read_one(one)
            return
        loose = decode.read_json_singles(bodies, self.contract)
        if loose is None:
            halves = taken if len(taken) > 1 else taken[0].cut([len(bodies) // 2])
            yield from self._read_singles(halves[: len(halves) // 2])
            yield from self._read_singles(halves[len(halves) // 2 :])
            return
        for each in taken:
            _count(each, 1)
        yield _Part(loose, taken, [1] * len(bodies))

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
                    self.odd.update(record.place for record in owner.run)

    def _split(self, parts: list[_Part]) -> pa.Table:
        """Judge all rows at once, and give each record its own."""
        decoded = decode.settle([part.loose for part in parts], self.contract)
        owners = [owner for part in parts for owner in part.owners]
        # Where each owner's records begin, and each record's rows.
        firsts = [0, *accumulate(len(each.run) for each in owners)]
        counts = [count for part in parts for count in part.counts]
        starts = [0, *accumulate(counts)]
        place, record_of = pa.array(starts, pa.int32()), spread(counts)
        held = {
            starts[at] + row for at, each in zip(firsts, owners, strict=False) for row in each.waits
        }
        verdict = gate.judge(decoded.rows, self.contract, decoded.faults, record_of, held)
        accepted = verdict.accepted()
        record = record_of.take(accepted)
        sent = [(each.run, each.envelope, each.sender, each.digests) for each in owners]
        landed = with_lineages(
            decoded.rows.take(accepted) if verdict.refused else decoded.rows,
            pc.subtract(accepted, place.take(record)),
            (opening.lineage(sent), record),
            opening.notes(decoded, verdict, accepted),
            landing_schema(self.contract),
        )
        rows = list(verdict.refused)
        bad = pa.array(rows, pa.int32())
        keys = decoded.rows.select(list(self.contract.key)).take(bad).to_pylist()
        mine = defaultdict[int, Counter[int]](Counter)
        for row, at, key, raw in zip(
            rows, record_of.take(bad).to_pylist(), keys, decoded.raw(rows), strict=True
        ):
            reasons = tuple(each.code for each in verdict.refused[row])
            name = canonical.dumps(key).decode()
            whose = bisect_right(firsts, at) - 1
            record = owners[whose].run.at(at - firsts[whose])
            found = record, row - starts[at], raw
            self.refused.append(self._refused(owners[whose], found, reasons, name))
            mine[whose][at - firsts[whose]] += row in held or not held
        for whose, each in enumerate(owners):
            each.judge(mine.get(whose, {}))
        return landed

    def _whole(self, taken: list[Taken]) -> list[Refused]:
        """Quarantine whole records as the bytes that they are."""
        return [
            self._refused(
                each, (record, WHOLE_RECORD, record.value or b""), tuple(map(str, each.faults)), ""
            )
            for each in taken
            if each.verdict == REFUSED
            for record in each.run
        ]

    def _refused(
        self, taken: Taken, row: tuple[Received, int, bytes], reasons: tuple[str, ...], key: str
    ) -> Refused:
        envelope = taken.envelope
        record, number, raw = row
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
    owners = [owner for owner in part.owners if not owner.verdict]
    rows = pc.indices_nonzero(pa.array(keep).take(spread(len(each.run) for each in part.owners)))
    return _Part(part.loose.only(rows.to_pylist()), owners, [1] * len(rows))


def _is_json(envelope: Envelope) -> bool:
    return envelope.content_type == envelopes.JSON and not envelope.encoding


def _alike(parts: list[_Part]) -> Iterator[list[_Part]]:
    """Group parts whose columns are of the same types."""
    groups: dict[str, list[_Part]] = {}
    for part in parts:
        schema = part.loose.columns.schema.remove_metadata()
        groups.setdefault(schema.to_string(show_field_metadata=False), []).append(part)
    yield from groups.values()

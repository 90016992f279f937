"""One record of the bus in, its rows out: landed, quarantined with reasons, or a proven repeat."""

from dataclasses import dataclass

import pyarrow as pa

from bus import envelope as envelopes
from bus.envelope import Envelope
from bus.ports import Received
from contracts import decode, gate
from contracts.decode import Decoded, UndecodableError
from contracts.model import Contract
from contracts.schema import landing_schema
from contracts.violations import Kind
from kernel import canonical
from pipeline.admission import Known, Refusal, Sender, admit, form_faults
from pipeline.sequences import Arrival, Place, Sequences
from warehouse.landing import (
    JUDGED,
    LANDED,
    PARTIAL,
    QUARANTINED,
    REFUSED,
    REPEAT,
    TOMBSTONE,
    Origin,
    month_of,
    with_lineage,
)
from warehouse.quarantine import WHOLE_RECORD, Refused

# What libraries raise on values that no promise foresaw: huge, nested, of foreign types.
_UNREADABLE = (
    ArithmeticError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    pa.ArrowException,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one record."""

    record: Received
    verdict: str
    stream: str
    epoch: str
    sequence: int | None
    enterprise: str
    key_id: str
    rows: int
    digest: str
    landed: pa.Table | None = None
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Intake:
    """What is needed to judge the records of one contract."""

    contract: Contract
    known: Known
    largest: int
    sequences: Sequences

    def take(self, record: Received) -> Outcome:
        """Judge one record."""
        envelope, digest = envelopes.read(record), canonical.digest(record.value or b"")
        # Nobody has proven to be who the record says: it must not count as that stream.
        claimed = f"unverified/{envelopes.stream_id(record, envelope)}"
        unknown = _Arrived(record, envelope, digest, Sender("", "", claimed, ""))
        if record.value is None:
            return _outcome(unknown, TOMBSTONE, 0)
        faults = form_faults(record, envelope, digest, self.contract)
        if len(record.value) > self.largest:
            faults = (Kind.TOO_LARGE, *faults)
        sender = admit(record, envelope, self.contract, self.known)
        if isinstance(sender, Refusal):
            return self._refuse(unknown, (*faults, *sender.kinds))
        arrived = _Arrived(record, envelope, digest, sender)
        place = self._place(arrived)
        if place is Place.REPEAT:
            return _outcome(arrived, REPEAT, envelope.row_count or 1)
        if place is Place.FORK and not faults:
            faults = (Kind.FORK,)
        outcome = self._refuse(arrived, faults) if faults else self._judge(arrived)
        self._note(arrived, keeps_number=outcome.verdict in JUDGED)
        return outcome

    def _place(self, arrived: "_Arrived") -> Place | None:
        """Find the record's place in its stream; a sender that does not count has none."""
        if (at := arrived.number) is None:
            return None
        return self.sequences.place(*at, arrived.arrival(keeps_number=False))

    def _note(self, arrived: "_Arrived", *, keeps_number: bool) -> None:
        if (at := arrived.number) is not None:
            self.sequences.note(*at, arrived.arrival(keeps_number=keeps_number))

    def _judge(self, arrived: "_Arrived") -> Outcome:
        try:
            return self._open(arrived)
        except _UNREADABLE:
            # One hostile record must not stop the others: it waits in quarantine as it is.
            return self._refuse(arrived, (Kind.UNDECODABLE,))

    def _open(self, arrived: "_Arrived") -> Outcome:
        body, kind = arrived.record.value or b"", arrived.envelope.get("content-type")
        try:
            if kind == envelopes.ARROW_STREAM:
                decoded = decode.decode_arrow(body, self.contract)
            else:
                lines = kind == envelopes.NDJSON
                decoded = decode.decode_json(body, self.contract, lines=lines)
        except UndecodableError:
            return self._refuse(arrived, (Kind.UNDECODABLE,))
        if arrived.envelope.row_count not in {None, decoded.rows.num_rows}:
            return self._refuse(arrived, (Kind.ROW_COUNT,))
        return self._split(arrived, decoded)

    def _split(self, arrived: "_Arrived", decoded: Decoded) -> Outcome:
        verdict = gate.judge(decoded.rows, self.contract, decoded.faults)
        accepted = pa.array(verdict.accepted(), pa.int32())
        extra = pa.array(decoded.extra or [None] * verdict.count, pa.string())
        landed = with_lineage(
            decoded.rows.take(accepted),
            accepted,
            arrived.origin(),
            extra.take(accepted),
            landing_schema(self.contract),
        )
        keys = decoded.rows.select(list(self.contract.key))
        refused = tuple(
            self._refused(arrived, row, decoded.raw(row)).because(
                tuple(each.code for each in why),
                canonical.dumps(keys.slice(row, 1).to_pylist()[0]).decode(),
            )
            for row, why in verdict.refused.items()
        )
        word = LANDED if not refused else PARTIAL if landed.num_rows else QUARANTINED
        return _outcome(arrived, word, verdict.count, landed, refused)

    def _refuse(self, arrived: "_Arrived", kinds: tuple[Kind, ...]) -> Outcome:
        """Quarantine a whole record as the bytes that it is."""
        whole = self._refused(arrived, WHOLE_RECORD, arrived.record.value or b"")
        refused = whole.because(tuple(dict.fromkeys(str(kind) for kind in kinds)), "")
        return _outcome(arrived, REFUSED, refused.rows, None, (refused,))

    def _refused(self, arrived: "_Arrived", row: int, raw: bytes) -> Refused:
        record, envelope = arrived.record, arrived.envelope
        return Refused(
            contract=self.contract.id,
            contract_version=envelope.get("ce_contractver"),
            enterprise=arrived.sender.enterprise,
            stream=arrived.sender.stream,
            epoch=envelope.get("ce_streamepoch"),
            sequence=envelope.sequence,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            row=row,
            rows=(envelope.row_count or 1) if row == WHOLE_RECORD else 1,
            business_key="",
            reasons=(),
            raw=raw,
            first_seen_at=record.broker_at,
        )


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A record with what its headers say and who sent it."""

    record: Received
    envelope: Envelope
    digest: str
    sender: Sender

    @property
    def number(self) -> tuple[str, str, int] | None:
        """Give stream, epoch and sequence, when the sender counts."""
        sequence, epoch = self.envelope.sequence, self.envelope.get("ce_streamepoch")
        return None if sequence is None or not epoch else (self.sender.stream, epoch, sequence)

    def arrival(self, *, keeps_number: bool) -> Arrival:
        return Arrival(self.digest, self.record.headers, keeps_number)

    def origin(self) -> Origin:
        return Origin(
            enterprise=self.sender.enterprise,
            source=self.sender.source,
            stream=self.sender.stream,
            epoch=self.envelope.get("ce_streamepoch"),
            sequence=self.envelope.sequence,
            topic=self.record.topic,
            partition=self.record.partition,
            offset=self.record.offset,
            contract_version=self.envelope.get("ce_contractver"),
            broker_at=self.record.broker_at,
            digest=self.digest,
        )


def _outcome(
    arrived: _Arrived,
    verdict: str,
    rows: int,
    landed: pa.Table | None = None,
    refused: tuple[Refused, ...] = (),
) -> Outcome:
    return Outcome(
        record=arrived.record,
        verdict=verdict,
        stream=arrived.sender.stream,
        epoch=arrived.envelope.get("ce_streamepoch"),
        sequence=arrived.envelope.sequence,
        enterprise=arrived.sender.enterprise,
        key_id=arrived.sender.key_id,
        rows=rows,
        digest=arrived.digest,
        landed=landed,
        refused=refused,
    )


def record_row(outcome: Outcome, contract: Contract, attempt: str) -> dict[str, object]:
    """Write a signed record as it was received; of a repeat the body is kept already."""
    record = outcome.record
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "broker_at": record.broker_at,
        "key": record.key,
        "headers": [{"name": name, "value": value} for name, value in record.headers],
        "body": None if outcome.verdict == REPEAT else record.value,
        "digest": outcome.digest,
        "key_id": outcome.key_id,
        "enterprise": outcome.enterprise,
        "stream": outcome.stream,
        "epoch": outcome.epoch,
        "sequence": outcome.sequence,
        "contract": contract.id,
        "rows": outcome.rows,
        "landed": 0 if outcome.landed is None else outcome.landed.num_rows,
        "quarantined": sum(each.rows for each in outcome.refused),
        "verdict": outcome.verdict,
        "attempt": attempt,
        "_month": month_of(record.broker_at),
    }

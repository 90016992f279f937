"""One record of the bus in, its rows out: landed, quarantined with reasons, or a proven repeat."""

from collections.abc import Callable
from dataclasses import dataclass, field

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
from warehouse.landing import Origin, month_of, with_lineage
from warehouse.quarantine import WHOLE_RECORD, Refused

LANDED, PARTIAL, QUARANTINED, REPEAT, TOMBSTONE = (
    "landed",
    "partial",
    "quarantined",
    "repeat",
    "tombstone",
)
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


@dataclass(slots=True)
class Sequences:
    """The last sequence of each stream and epoch, as the table and this step know it."""

    last: Callable[[str, str], int | None]
    digest_of: Callable[[str, str, int], str | None]
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    digests: dict[tuple[str, str, int], str] = field(default_factory=dict)
    holes: list[dict[str, object]] = field(default_factory=list)

    def place(self, stream: str, epoch: str, sequence: int, digest: str) -> Kind | str | None:
        """Tell a repeat and a fork from news; remember news and the hole before it."""
        here = (stream, epoch)
        last = self.seen[here] if here in self.seen else self.last(stream, epoch)
        if last is not None and sequence <= last:
            known = self.digests.get((*here, sequence)) or self.digest_of(*here, sequence)
            if known is not None:
                return REPEAT if known == digest else Kind.FORK
            self.digests[(*here, sequence)] = digest
            return None
        expected = 1 if last is None else last + 1
        if sequence > expected:
            hole = {"stream": stream, "epoch": epoch, "from": expected, "to": sequence - 1}
            self.holes.append(hole)
        self.seen[here] = sequence
        self.digests[(*here, sequence)] = digest
        return None


@dataclass(frozen=True, slots=True)
class Intake:
    """What is needed to judge the records of one contract."""

    contract: Contract
    known: Known
    largest: int
    sequences: Sequences

    def take(self, record: Received) -> Outcome:
        """Judge one record."""
        envelope = envelopes.read(record)
        # Nobody has proven to be who the record says: it must not count as that stream.
        claimed = f"unverified/{envelopes.stream_id(record, envelope)}"
        if record.value is None:
            return _outcome(_Arrived(record, envelope, Sender("", "", claimed, "")), TOMBSTONE, 0)
        faults = form_faults(record, envelope, self.contract, self.largest)
        sender = admit(record, envelope, self.contract, self.known)
        if isinstance(sender, Refusal):
            unknown = Sender("", "", claimed, "")
            return self._refuse(_Arrived(record, envelope, unknown), (*faults, *sender.kinds))
        arrived = _Arrived(record, envelope, sender)
        place = None if faults else self._place(arrived)
        if place == REPEAT:
            return _outcome(arrived, REPEAT, envelope.row_count or 1)
        if isinstance(place, Kind):
            faults = (place,)
        if faults:
            return self._refuse(arrived, faults)
        try:
            return self._open(arrived)
        except _UNREADABLE:
            # One hostile record must not stop the others: it waits in quarantine as it is.
            return self._refuse(arrived, (Kind.UNDECODABLE,))

    def _place(self, arrived: "_Arrived") -> Kind | str | None:
        """Find the record's place in its stream; a sender that does not count has none."""
        sequence = arrived.envelope.sequence
        epoch = arrived.envelope.get("ce_streamepoch")
        if sequence is None or not epoch:
            return None
        return self.sequences.place(arrived.sender.stream, epoch, sequence, arrived.digest)

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
        return _outcome(arrived, QUARANTINED, refused.rows, None, (refused,))

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
    sender: Sender

    @property
    def digest(self) -> str:
        return canonical.digest(self.record.value or b"")

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

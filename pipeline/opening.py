"""From a signed record to the rows that land: the same for landing and for a pack's reader."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa

from bus import envelope as envelopes
from bus.envelope import Envelope
from bus.ports import Headers, Received
from contracts import decode
from contracts.decode import Decoded, Loose
from contracts.gate import Verdict
from contracts.model import Contract
from contracts.schema import WARNINGS, landing_schema
from pipeline.admission import Sender
from warehouse.landing import Origin, month_of, with_lineage


def received(record: Mapping[str, object]) -> Received:
    """Give a record that was kept as it came; one that is not whole is a TypeError."""
    key, body, at = (record[name] for name in ("key", "body", "broker_at"))
    if not isinstance(body, bytes) or not isinstance(at, datetime):
        raise TypeError(record)
    return Received(
        topic=str(record["topic"]),
        partition=int(str(record["partition"])),
        offset=int(str(record["offset"])),
        broker_at=at,
        key=key if isinstance(key, bytes) else None,
        value=body,
        headers=headers(record["headers"]),
    )


def as_received(records: Sequence[Received]) -> dict[str, list[object]]:
    """Give what the bus tells of records, by the columns in which they are kept."""
    return {
        "topic": [each.topic for each in records],
        "partition": [each.partition for each in records],
        "offset": [each.offset for each in records],
        "broker_at": [each.broker_at for each in records],
        "key": [each.key for each in records],
        "_month": [month_of(each.broker_at) for each in records],
    }


def headers(kept: object) -> Headers:
    """Give the headers of a record that was kept; an empty name or value is a TypeError."""
    if not isinstance(kept, list) or any(not each or None in each.values() for each in kept):
        raise TypeError(kept)
    return tuple((each["name"], each["value"]) for each in kept)


def opened(received: Received, envelope: Envelope, contract: Contract) -> Loose:
    """Read a record's body as its content type says."""
    kind = envelope.content_type
    body = decode.unfolded(received.value or b"", envelope.encoding)
    if kind == envelopes.ARROW_STREAM:
        return decode.read_arrow(body, contract)
    return decode.read_json(body, contract, lines=kind == envelopes.NDJSON)


def decoded(received: Received, envelope: Envelope, contract: Contract) -> Decoded:
    """Read a record's body to the contract's types."""
    return decode.settle([opened(received, envelope, contract)], contract)


def origin(received: Received, envelope: Envelope, sender: Sender, digest: str) -> Origin:
    """Tell where a record's rows come from: by whom it is proven to be sent, and its headers."""
    return Origin(
        enterprise=sender.enterprise,
        source=sender.source,
        stream=sender.stream,
        epoch=envelope.epoch,
        sequence=envelope.sequence,
        topic=received.topic,
        partition=received.partition,
        offset=received.offset,
        contract_version=envelope.contract_version,
        broker_at=received.broker_at,
        record_digest=digest,
        month=month_of(received.broker_at),
    )


def accepted(decoded: Decoded, verdict: Verdict, origin: Origin, contract: Contract) -> pa.Table:
    """Give the rows that the gate accepts, as they land."""
    places = verdict.accepted()
    return with_lineage(
        decoded.rows.take(places),
        places,
        origin,
        notes(decoded, verdict, places),
        landing_schema(contract),
    )


def notes(decoded: Decoded, verdict: Verdict, places: pa.Array) -> dict[str, pa.Array]:
    """Give what is noted of rows beside them: what nobody promised, and broken soft promises."""
    extra = decoded.extra or pa.nulls(verdict.count, pa.string())
    return {"_extra": extra.take(places), WARNINGS: verdict.warnings().take(places)}

"""From a signed record to the rows that land: the same for landing and for a pack's reader."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa

from bus.envelope import ARROW_STREAM, NDJSON, Envelope
from bus.ports import Headers, Received, Run
from contracts import decode
from contracts.decode import Decoded, Loose
from contracts.gate import Verdict
from contracts.model import Contract
from contracts.schema import INSTANT, WARNINGS, landing_schema
from pipeline.admission import Sender
from warehouse.landing import (
    Origin,
    alike,
    coded,
    lineages,
    month_of,
    months_of,
    spread,
    with_lineage,
)


def received(record: Mapping[str, object]) -> Received:
    """Give a record that was kept as it came; one that is not whole is a TypeError."""
    key, body, at = (record[name] for name in ("key", "body", "broker_at"))
    if not isinstance(body, bytes) or not isinstance(at, datetime):
        raise TypeError(record)
    return Received.of(
        (str(record["topic"]), int(str(record["partition"])), int(str(record["offset"]))),
        at,
        key if isinstance(key, bytes) else None,
        body,
        headers(record["headers"]),
    )


def as_received(runs: Sequence[Run]) -> dict[str, pa.Array]:
    """Give what the bus tells of records, by the columns in which they are kept."""
    which = spread(map(len, runs))
    milliseconds = pa.array([at for run in runs for at in run.broker_ms], pa.int64())
    return {
        "topic": coded(pa.array([run.topic for run in runs], pa.string()), which),
        "partition": pa.array([run.partition for run in runs], pa.int32()).take(which),
        "offset": pa.array([offset for run in runs for offset in run.offsets], pa.int64()),
        "broker_at": milliseconds.cast(pa.timestamp("ms", "UTC")).cast(INSTANT),
        "key": pa.array([run.key for run in runs], pa.binary()).take(which),
        "_month": months_of(milliseconds),
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
    if kind == ARROW_STREAM:
        return decode.read_arrow(body, contract)
    return decode.read_json(body, contract, lines=kind == NDJSON)


def decoded(received: Received, envelope: Envelope, contract: Contract) -> Decoded:
    """Read a record's body to the contract's types."""
    return decode.settle([opened(received, envelope, contract)], contract)


def lineage(sent: Sequence[tuple[Run, Envelope, Sender, Sequence[str]]]) -> dict[str, pa.Array]:
    """Tell of many records where their rows come from; what one envelope says is read once."""
    runs, envelopes, _, digests = zip(*sent, strict=True)
    firsts, which = alike(envelopes)
    which = which.take(spread(map(len, runs)))
    origins = [
        origin(run.at(0), envelope, sender, digest)
        for run, envelope, sender, (digest, *_) in (sent[at] for at in firsts)
    ]
    told = {name: coded(values, which) for name, values in lineages(origins).items()}
    place = as_received(runs)
    told |= {f"_{name}": place[name] for name in ("topic", "partition", "offset", "broker_at")}
    digest = pa.array([each for some in digests for each in some], pa.string())
    return {**told, "_record_digest": digest, "_month": place["_month"]}


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

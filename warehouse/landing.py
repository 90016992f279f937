"""Landing tables: the rows of a record with where each came from; the signed record beside them."""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from contracts.schema import INSTANT, LINEAGE
from kernel.clock import SHANGHAI

RECORDS = "landing_record"
# What became of a record: its rows were judged one by one; or it was refused as a whole, came
# before, or held nothing.
LANDED, PARTIAL, QUARANTINED = "landed", "partial", "quarantined"
REFUSED, REPEAT, TOMBSTONE = "refused", "repeat", "tombstone"
JUDGED = (LANDED, PARTIAL, QUARANTINED)
RECORD_SCHEMA = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("broker_at", INSTANT),
        ("key", pa.binary()),
        ("headers", pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))),
        ("body", pa.binary()),
        ("digest", pa.string()),
        ("key_id", pa.string()),
        ("enterprise", pa.string()),
        ("stream", pa.string()),
        ("epoch", pa.string()),
        ("sequence", pa.int64()),
        ("contract", pa.string()),
        ("rows", pa.int64()),
        ("landed", pa.int64()),
        ("quarantined", pa.int64()),
        ("verdict", pa.string()),
        ("attempt", pa.string()),
        ("_month", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the rows of one record came from."""

    enterprise: str
    source: str
    stream: str
    epoch: str
    sequence: int | None
    topic: str
    partition: int
    offset: int
    contract_version: str
    broker_at: datetime
    digest: str


def month_of(instant: datetime) -> str:
    """Name the month, in Shanghai, under which a row is filed."""
    return instant.astimezone(SHANGHAI).strftime("%Y-%m")


def with_lineage(
    rows: pa.Table, numbers: pa.Array, origin: Origin, extra: pa.Array, schema: pa.Schema
) -> pa.Table:
    """Add to accepted rows where they came from; numbers are their places in the record."""
    count = rows.num_rows
    same = {
        "_enterprise": origin.enterprise,
        "_source": origin.source,
        "_stream": origin.stream,
        "_epoch": origin.epoch,
        "_sequence": origin.sequence,
        "_topic": origin.topic,
        "_partition": origin.partition,
        "_offset": origin.offset,
        "_contract_version": origin.contract_version,
        "_broker_at": origin.broker_at,
        "_record_digest": origin.digest,
        "_month": month_of(origin.broker_at),
    }
    each = {"_row": numbers, "_extra": extra, "_op": rows["_op"]}
    columns = [
        rows[field.name]
        if field.name in rows.column_names and field.name not in each
        else each[field.name]
        if field.name in each
        else pa.repeat(pa.scalar(same[field.name], LINEAGE.field(field.name).type), count)
        for field in schema
    ]
    return pa.table(columns, schema=schema)

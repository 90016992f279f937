"""Landing tables: the rows of a record with where each came from; the signed record beside them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa

from contracts.schema import INSTANT, LINEAGE
from kernel.clock import SHANGHAI

RECORDS = "landing_record"
# What became of a record: its rows were judged one by one; or it was refused as a whole, came
# before, or held nothing.
LANDED, PARTIAL, QUARANTINED = "landed", "partial", "quarantined"
REFUSED, REPEAT, TOMBSTONE = "refused", "repeat", "tombstone"
JUDGED = (LANDED, PARTIAL, QUARANTINED)
# Nobody has judged it yet: no contract is for its topic.
KEPT = "contract.unknown"
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


class Origin(NamedTuple):
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
    record_digest: str
    month: str


def month_of(instant: datetime) -> str:
    """Name the month, in Shanghai, under which a row is filed."""
    return _month_of(instant.date(), instant.hour, instant.tzinfo)


@lru_cache(maxsize=1024)
def _month_of(day: date, hour: int, zone: tzinfo | None) -> str:
    at = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
    return at.astimezone(SHANGHAI).strftime("%Y-%m")


def with_lineage(
    rows: pa.Table,
    numbers: pa.Array,
    origin: Origin,
    notes: Mapping[str, pa.Array],
    schema: pa.Schema,
) -> pa.Table:
    """Add to rows of one record where they came from; numbers are their places in it."""
    owner = pa.repeat(pa.scalar(0, pa.int32()), rows.num_rows)
    return with_lineages(rows, numbers, ([origin], owner), notes, schema).cast(schema)


def with_lineages(
    rows: pa.Table,
    numbers: pa.Array,
    origins: tuple[Sequence[Origin], pa.Array],
    notes: Mapping[str, pa.Array],
    schema: pa.Schema,
) -> pa.Table:
    """Add to rows of many records where each came from: the records, and of each row which.

    Notes are the columns about the rows themselves: what else they held, and their warnings.
    What many rows share is told by number: as text it would be most of what is written.
    """
    records, owner = origins
    told = {
        column: _repeated(pa.array(values, LINEAGE.field(column).type), owner)
        for column, values in zip(
            (f"_{name}" for name in Origin._fields), zip(*records, strict=True), strict=True
        )
    }
    told |= {"_row": numbers, "_op": rows["_op"], **notes}
    return pa.table({name: told[name] if name in told else rows[name] for name in schema.names})


def _repeated(values: pa.Array, owner: pa.Array) -> pa.Array:
    """Give each row its record's value; few texts for many rows are told by number."""
    if not pa.types.is_string(values.type):
        return values.take(owner)
    coded = values.dictionary_encode()
    if len(coded.dictionary) * 2 > len(owner):
        return values.take(owner)
    return pa.DictionaryArray.from_arrays(coded.indices.take(owner), coded.dictionary)


def joined(landed: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """Give tables of landed rows as one; only several cost a copy."""
    if len(landed) == 1:
        return landed[0]
    return pa.concat_tables([schema.empty_table(), *(each.cast(schema) for each in landed)])


def record_table(
    entries: Mapping[str, list[object]], headers: Sequence[Sequence[tuple[str, bytes]]]
) -> pa.Table:
    """Write signed records as they were received; headers apart, for they are many."""
    ends = [0]
    for each in headers:
        ends.append(ends[-1] + len(each))
    pairs = pa.StructArray.from_arrays(
        [
            pa.array([name for each in headers for name, _ in each], pa.string()),
            pa.array([value for each in headers for _, value in each], pa.binary()),
        ],
        ["name", "value"],
    )
    listed = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pairs)
    return pa.table(
        [
            listed if each.name == "headers" else pa.array(entries[each.name], each.type)
            for each in RECORD_SCHEMA
        ],
        schema=RECORD_SCHEMA,
    )

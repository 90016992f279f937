"""Landing tables: the rows of a record with where each came from; the signed record beside them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

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


_HOUR_MS = 3_600_000


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


def months_of(milliseconds: pa.Array) -> pa.Array:
    """Name the months of many instants, which are of few hours."""
    # Shanghai's clock has always stood whole hours from UTC since 1970.
    hours = pc.divide(milliseconds, _HOUR_MS).dictionary_encode()
    names = [
        month_of(datetime.fromtimestamp(hour * _HOUR_MS // 1000, UTC))
        for hour in hours.dictionary.to_pylist()
    ]
    return pa.DictionaryArray.from_arrays(hours.indices, pa.array(names, pa.string()))


def alike(objects: Sequence[object]) -> tuple[list[int], pa.Array]:
    """Tell where each object is first, and for each place which of those it is; by identity."""
    names = [id(each) for each in objects]
    backwards = dict(zip(reversed(names), range(len(names) - 1, -1, -1), strict=True))
    which = pa.array(names, pa.int64()).dictionary_encode()
    return [backwards[name] for name in which.dictionary.to_pylist()], which.indices


def spread(counts: Iterable[int]) -> pa.Array:
    """Tell of each of so many whose it is: of 2 and 1 the first, the first, and the second."""
    ends = [0, *accumulate(counts)]
    lists = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.nulls(ends[-1]))
    return pc.list_parent_indices(lists).cast(pa.int32())


def coded(values: pa.Array, which: pa.Array) -> pa.Array:
    """Give each place its value; texts are told by number."""
    if pa.types.is_string(values.type):
        values = values.dictionary_encode()
    return values.take(which)


def with_lineage(
    rows: pa.Table,
    numbers: pa.Array,
    origin: Origin,
    notes: Mapping[str, pa.Array],
    schema: pa.Schema,
) -> pa.Table:
    """Add to rows of one record where they came from; numbers are their places in it."""
    owner = pa.repeat(pa.scalar(0, pa.int32()), rows.num_rows)
    return with_lineages(rows, numbers, (lineages([origin]), owner), notes, schema).cast(schema)


def lineages(origins: Sequence[Origin]) -> dict[str, pa.Array]:
    """Give the columns that tell of a row where it comes from, a place for each record."""
    names = [f"_{name}" for name in Origin._fields]
    return {
        name: pa.array(values, LINEAGE.field(name).type)
        for name, values in zip(names, zip(*origins, strict=True), strict=True)
    }


def with_lineages(
    rows: pa.Table,
    numbers: pa.Array,
    origins: tuple[Mapping[str, pa.Array], pa.Array],
    notes: Mapping[str, pa.Array],
    schema: pa.Schema,
) -> pa.Table:
    """Add to rows of many records where each came from: those of records, and of each row which.

    Notes are the columns about the rows themselves: what else they held, and their warnings.
    What many rows share is told by number: as text it would be most of what is written.
    """
    records, owner = origins
    told = {name: _repeated(values, owner) for name, values in records.items()}
    told |= {"_row": numbers, "_op": rows["_op"], **notes}
    return pa.table({name: told[name] if name in told else rows[name] for name in schema.names})


def _repeated(values: pa.Array, owner: pa.Array) -> pa.Array:
    """Give each row its record's value; few texts for many rows are told by number."""
    if not pa.types.is_dictionary(values.type):
        if not pa.types.is_string(values.type) or len(values) * 2 > len(owner):
            return values.take(owner)
        values = values.dictionary_encode()
    if len(values.dictionary) * 2 > len(owner):
        return values.dictionary.take(values.indices.take(owner))
    return values.take(owner)


def joined(landed: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """Give tables of landed rows as one; only several cost a copy."""
    if len(landed) == 1:
        return landed[0]
    return pa.concat_tables([schema.empty_table(), *(each.cast(schema) for each in landed)])


def record_table(
    entries: Mapping[str, Sequence[object] | pa.Array],
    headers: Sequence[tuple[Sequence[tuple[str, bytes]], int]],
) -> pa.Table:
    """Write signed records as they were received; headers apart, and of how many they are."""
    firsts, which = alike([said for said, _ in headers])
    said = [headers[first][0] for first in firsts]
    ends = [0]
    for each in said:
        ends.append(ends[-1] + len(each))
    pairs = pa.StructArray.from_arrays(
        [
            pa.array([name for each in said for name, _ in each], pa.string()),
            pa.array([value for each in said for _, value in each], pa.binary()),
        ],
        ["name", "value"],
    )
    listed = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pairs)
    listed = listed.take(which.take(spread(count for _, count in headers)))
    columns = {**entries, "headers": listed}
    return pa.table({each.name: _typed(columns[each.name], each.type) for each in RECORD_SCHEMA})


def _typed(values: Sequence[object] | pa.Array, wanted: pa.DataType) -> pa.Array:
    if not isinstance(values, pa.Array):
        return pa.array(values, wanted)
    return values if pa.types.is_dictionary(values.type) else values.cast(wanted)

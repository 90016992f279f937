"""Quarantine: refused rows with every reason, and the events that tell each one's state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from contracts.schema import INSTANT
from kernel import canonical
from warehouse.landing import month_of
from warehouse.store import TableStore

QUARANTINE = "quarantine"
# A whole record that could not be read has no row number.
WHOLE_RECORD = -1

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("contract", pa.string()),
        ("contract_version", pa.string()),
        ("enterprise", pa.string()),
        ("stream", pa.string()),
        ("epoch", pa.string()),
        ("sequence", pa.int64()),
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("row", pa.int32()),
        ("rows", pa.int64()),
        ("business_key", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("raw", pa.binary()),
        ("first_seen_at", INSTANT),
        ("attempt", pa.string()),
        ("_month", pa.string()),
    ]
)
# The states of a row; one without an event is open.
OPEN, ACCEPTED, REJECTED = "open", "accepted", "rejected"


def row_id(topic: str, partition: int, offset: int, row: int) -> str:
    """Name a row by its place on the bus."""
    return canonical.digest_of([topic, partition, offset, row])


@dataclass(frozen=True, slots=True)
class Refused:
    """A row, or a whole record, that broke promises; rows counts what it stands for."""

    contract: str
    contract_version: str
    enterprise: str
    stream: str
    epoch: str
    sequence: int | None
    topic: str
    partition: int
    offset: int
    row: int
    rows: int
    business_key: str
    reasons: tuple[str, ...]
    raw: bytes
    first_seen_at: datetime

    @property
    def id(self) -> str:
        """Name the row by its place on the bus, which no replay changes."""
        return row_id(self.topic, self.partition, self.offset, self.row)


def table_of(refused: Sequence[Refused], attempt: str) -> pa.Table:
    """Write refused rows as a table."""
    return pa.Table.from_pylist(
        [
            {
                **{name: getattr(each, name) for name in SCHEMA.names if hasattr(each, name)},
                "reasons": list(each.reasons),
                "attempt": attempt,
                "_month": month_of(each.first_seen_at),
            }
            for each in refused
        ],
        schema=SCHEMA,
    )


def raw_of(store: TableStore, row: str) -> bytes:
    """Give a row as it was sent."""
    found = store.open(QUARANTINE).dataset().to_table(["raw"], filter=pc.field("id") == row)
    raw: bytes = found["raw"][0].as_py()
    return raw

"""Quarantine: refused rows with every reason, and the events that tell each one's state."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from contracts.schema import INSTANT
from kernel import canonical
from warehouse.landing import month_of
from warehouse.store import ConflictError, TableStore

QUARANTINE = "quarantine"
EVENTS = "quarantine_event"
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
EVENT_SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("state", pa.string()),
        ("who", pa.string()),
        ("why", pa.string()),
        ("until", INSTANT),
        ("at", INSTANT),
    ]
)


# The states of a row; one without an event is open.
OPEN, ACCEPTED, REJECTED, WAIVED = "open", "accepted", "rejected", "waived"


def row_id(topic: str, partition: int, offset: int, row: int) -> str:
    """Name a row by its place on the bus."""
    return canonical.digest_of([topic, partition, offset, row])


@dataclass(frozen=True, slots=True)
class Word:
    """Who said what of a row, and until when it holds."""

    who: str
    why: str
    at: datetime
    until: datetime | None = None


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


def tell(store: TableStore, states: Sequence[tuple[str, str]], word: Word) -> None:
    """Note the new states of rows; the newest event of a row counts."""
    if not states:
        return
    store.create(EVENTS, EVENT_SCHEMA)
    events = [
        {"row_id": row, "state": state, "who": word.who, "why": word.why, "until": word.until,
         "at": word.at}
        for row, state in states
    ]  # fmt: skip
    told = pa.Table.from_pylist(events, schema=EVENT_SCHEMA)
    while True:
        # Only a fence of `maintain` can come between, once.
        with suppress(ConflictError):
            store.open(EVENTS).append(told, {}, {})
            return


def newest_events(store: TableStore) -> dict[str, dict[str, object]]:
    """Give the event that counts of each row that has one."""
    if not store.exists(EVENTS):
        return {}
    rows = store.open(EVENTS).dataset().to_table().sort_by("at").to_pylist()
    return {row["row_id"]: row for row in rows}


def raw_of(store: TableStore, row: str) -> bytes:
    """Give a row as it was sent."""
    found = store.open(QUARANTINE).dataset().to_table(["raw"], filter=pc.field("id") == row)
    raw: bytes = found["raw"][0].as_py()
    return raw

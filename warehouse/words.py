"""What is said of rows, findings and evidence: append-only, with name and reason; newest counts."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from contracts.schema import INSTANT
from kernel.errors import ConfigurationError
from warehouse.store import ConflictError, TableStore

OF_ROWS, OF_FINDINGS, OF_EVIDENCE = "quarantine_event", "finding_event", "evidence_event"
TABLES = (OF_ROWS, OF_FINDINGS, OF_EVIDENCE)
SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("state", pa.string()),
        ("who", pa.string()),
        ("why", pa.string()),
        ("until", INSTANT),
        ("at", INSTANT),
    ]
)
WAIVED, FAILED = "waived", "failed"


@dataclass(frozen=True, slots=True)
class Word:
    """Who said what of a row or a finding, and until when it holds."""

    who: str
    why: str
    at: datetime
    until: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse a word that names nobody, gives no reason, or holds no more."""
        if not self.who.strip() or not self.why.strip():
            raise ConfigurationError(
                "Nobody explained it, or without a reason.", cure="give --who and --why."
            )
        if self.until is not None and self.until <= self.at:
            raise ConfigurationError(
                f"{self.until:%Y-%m-%d} has passed.", where="--until", cure="give a day to come."
            )


def tell(store: TableStore, table: str, states: Sequence[tuple[str, str]], word: Word) -> None:
    """Note the new states of rows, findings or decisions, by their ids."""
    if not states:
        return
    store.create(table, SCHEMA)
    events = [
        {"row_id": row, "state": state, "who": word.who, "why": word.why, "until": word.until,
         "at": word.at}
        for row, state in states
    ]  # fmt: skip
    told = pa.Table.from_pylist(events, schema=SCHEMA)
    while True:
        # Only a fence of `maintain` can come between, once.
        with suppress(ConflictError):
            store.open(table).append(told, {}, {})
            return


def newest(store: TableStore, table: str, now: datetime) -> dict[str, dict[str, object]]:
    """Give the word that counts of each id that has one; one whose day has passed does not."""
    if not store.exists(table):
        return {}
    rows = store.open(table).dataset().to_table().sort_by("at").to_pylist()
    found = {str(row["row_id"]): row for row in rows}
    return {name: row for name, row in found.items() if row["until"] is None or row["until"] > now}

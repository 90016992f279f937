"""Judges what recently landed, and what is in quarantine, by another version of a contract."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from contracts import decode
from contracts.gate import judge
from contracts.model import Contract
from contracts.schema import batch_schema
from contracts.violations import Kind
from kernel import canonical, clock
from pipeline import wiring
from pipeline.settings import Settings, read_settings
from warehouse import attempts, quarantine
from warehouse.store import TableStore

# What one step holds in memory, and how many rows of each kind are shown.
_ROWS = 50_000
_SHOWN = 5
_PLACE = ("topic", "partition", "offset", "row")


@dataclass(frozen=True, slots=True)
class Example:
    """One row that the other version judges otherwise: where it stands, its key, the reasons."""

    place: str
    key: str
    reasons: tuple[str, ...]


@dataclass(slots=True)
class Verdicts:
    """How many rows were read, how many would change sides, why, and a few of them."""

    read: int = 0
    changed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    def note(self, example: Example) -> None:
        """Count one row that changes sides."""
        self.changed += 1
        self.reasons.update(example.reasons)
        if len(self.examples) < _SHOWN:
            self.examples.append(example)


@dataclass(frozen=True, slots=True)
class Replay:
    """Landed rows that the new version would refuse, quarantined ones that it would let in."""

    refused: Verdicts
    freed: Verdicts


def replay(old: Contract, new: Contract, days: int, settings: Settings | None = None) -> Replay:
    """Judge by the new version what came under the old one in its last so many days."""
    store = wiring.store(settings or read_settings())
    landed = store.open(old.table).dataset() if store.exists(old.table) else None
    refused = _in_quarantine(store, old)
    newest = [pc.max(refused["first_seen_at"]).as_py()]
    if landed is not None:
        newest.append(pc.max(landed.to_table(["_broker_at"])["_broker_at"]).as_py())
    # Counted back from what came last: a stream that has stopped is judged as well.
    since = max((each for each in newest if each), default=clock.now()) - timedelta(days=days)
    return Replay(
        Verdicts() if landed is None else _landed(landed, old, new, since),
        _quarantined(refused.filter(pc.field("first_seen_at") >= since), new),
    )


def _landed(landed: ds.Dataset, old: Contract, new: Contract, since: datetime) -> Verdicts:
    found = Verdicts()
    recent = pc.field("_broker_at") >= since
    for batch in landed.to_batches(filter=recent, batch_size=_ROWS):
        rows = pa.Table.from_batches([batch])
        found.read += rows.num_rows
        columns = _as_sent(rows, old, new)
        sent = decode.settle([decode.Loose(columns, None, (), lambda _rows: [])], new)
        for row, reasons in _verdict(sent, new).items():
            place = "/".join(str(rows[f"_{name}"][row]) for name in _PLACE)
            found.note(Example(place, _key(rows, row, old), reasons))
    return found


def _as_sent(rows: pa.Table, old: Contract, new: Contract) -> pa.Table:
    """Give the rows as their sender did: what only the new version knows was kept as `_extra`."""
    # A table that nobody has landed in since the contract grew lacks the newest columns.
    known = [name for name in batch_schema(old).names if name in rows.column_names]
    sent = rows.select([*known, "_op"])
    added = [each.name for each in new.properties if each.name not in sent.column_names]
    if not added:
        return sent
    extra = [_mapping(text) for text in rows["_extra"].to_pylist()]
    for name in added:
        values = [None if (v := row.get(name)) is None else str(v) for row in extra]
        sent = sent.append_column(name, pa.array(values, pa.string()))
    return sent


def _mapping(text: str | None) -> Mapping[str, object]:
    found = canonical.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def _verdict(decoded: decode.Decoded, new: Contract) -> Mapping[int, tuple[str, ...]]:
    """Give the reasons by row; of many records judged at once, one key twice is no repeat."""
    refused = judge(decoded.rows, new, decoded.faults).refused
    told = {
        row: tuple(each.code for each in why if each.kind is not Kind.UNIQUE)
        for row, why in refused.items()
    }
    return {row: codes for row, codes in told.items() if codes}


def _key(rows: pa.Table, row: int, contract: Contract) -> str:
    return "/".join(str(rows[name][row]) for name in contract.key)


def _in_quarantine(store: TableStore, contract: Contract) -> pa.Table:
    """Read the refused rows that can be judged each by itself: no whole record, no repeat."""
    rows = attempts.quarantined(store, quarantine.SCHEMA)
    rows = rows.filter(
        (pc.field("contract") == contract.id) & (pc.field("row") != quarantine.WHOLE_RECORD)
    )
    alone = {Kind.UNDECODABLE, Kind.UNIQUE}
    judged = [
        not any(_kind(code) in alone for code in reasons) for reasons in rows["reasons"].to_pylist()
    ]
    return rows.filter(pa.array(judged, pa.bool_()))


def _quarantined(rows: pa.Table, new: Contract) -> Verdicts:
    found = Verdicts()
    for start in range(0, rows.num_rows, _ROWS):
        _free(rows.slice(start, _ROWS), new, found)
    return found


def _free(rows: pa.Table, new: Contract, found: Verdicts) -> None:
    """Count the refused rows in which the new version finds nothing wrong."""
    found.read += rows.num_rows
    raws = rows["raw"].to_pylist()
    still = _verdict(decode.settle([decode.read_rows(raws, new)], new), new)
    for row in range(rows.num_rows):
        if row not in still:
            place = "/".join(str(rows[name][row]) for name in _PLACE)
            reasons = tuple(rows["reasons"][row].as_py())
            found.note(Example(place, str(rows["business_key"][row]), reasons))


def _kind(code: str) -> str:
    return code if code in set(Kind) else code.rpartition(".")[2]

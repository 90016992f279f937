"""One step over several tables, one decision: the landing commit, which names the attempt."""

import secrets
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bus.ports import instant
from contracts.model import Contract
from contracts.schema import WARNINGS, landing_schema
from kernel import canonical, clock
from pipeline import drift
from pipeline.crashpoints import crash_here
from pipeline.harvest import Harvest, Taken
from pipeline.opening import as_received
from warehouse import quarantine
from warehouse.landing import (
    RECORD_SCHEMA,
    RECORDS,
    REPEAT,
    coded,
    joined,
    record_table,
    spread,
)
from warehouse.store import TableHandle, TableStore

# The mark that counts the commits that refused something, whichever version judged.
_REFUSALS = "refused"


def judged(contract: Contract) -> str:
    """Name the mark of a version that has judged all that others had refused so often by then."""
    return f"judged/{contract.digest}"


def refusals_of_others(handle: TableHandle, contract: Contract) -> int:
    """Count, from one on, the commits in which another version of a contract refused something."""
    own = handle.mark(_own_refusals(contract)) or 0
    return 1 + (handle.mark(_REFUSALS) or 0) - own


def _own_refusals(contract: Contract) -> str:
    return f"{_REFUSALS}/{contract.digest}"


class Step:
    """Writes what was judged of one contract."""

    def __init__(self, store: TableStore, contract: Contract, crash: Path | None) -> None:
        self._store, self._contract, self._crash = store, contract, crash
        store.create(contract.table, landing_schema(contract), ("_month",))
        store.create(RECORDS, RECORD_SCHEMA, ("contract", "_month"))
        store.create(quarantine.QUARANTINE, quarantine.SCHEMA, ("contract", "_month"))

    def write(
        self,
        handle: TableHandle,
        harvest: Harvest,
        marks: Mapping[str, int],
        facts: Mapping[str, object],
    ) -> dict[str, int]:
        """Write records and refused rows under an attempt; the landing commit names it.

        Give what became of the rows.
        """
        attempt, counts = secrets.token_hex(8), harvest.counts()
        crash_here(self._crash, "land.before_write")
        if harvest.taken:
            records = _record_table(harvest.taken, self._contract, attempt)
            self._store.open(RECORDS).append(records, {}, {"attempt": attempt})
        crash_here(self._crash, "land.between_writes")
        if harvest.refused:
            rows = quarantine.table_of(harvest.refused, attempt)
            self._store.open(quarantine.QUARANTINE).append(rows, {}, {"attempt": attempt})
        crash_here(self._crash, "land.before_commit")
        common: dict[str, object] = {
            "contract": self._contract.id,
            "contract_version": self._contract.version,
            "contract_digest": self._contract.digest,
            "attempt": attempt,
            "batch_digest": canonical.digest_of(
                [digest for each in harvest.taken for digest in each.digests]
            ),
            "counts": counts,
            # What this commit adds: the counts of a record that is judged anew are of all its rows.
            "added": sum(each.num_rows for each in harvest.landed),
            "warnings": _warnings(harvest.landed),
            "verdicts": _verdicts(harvest.taken),
            "landed_at": clock.now().isoformat(),
        }
        if harvest.taken:
            oldest = min(min(each.run.broker_ms) for each in harvest.taken)
            common["oldest_at"] = instant(oldest).isoformat()
        came = ((t.sender.stream, each) for t in harvest.taken if t.landed_rows for each in t.drift)
        told, remembered = drift.news(handle, self._contract, came)
        if told:
            common["drift"] = told
        if harvest.refused:
            for name in (_REFUSALS, _own_refusals(self._contract)):
                remembered[name] = (handle.mark(name) or 0) + 1
        rows = joined(harvest.landed, landing_schema(self._contract))
        handle.append(rows, {**marks, **remembered}, {**common, **facts})
        crash_here(self._crash, "land.after_commit")
        return counts


def _warnings(landed: list[pa.Table]) -> dict[str, int]:
    """Count, by code, the rows that land though a soft promise is broken."""
    codes = Counter[str]()
    for rows in landed:
        codes.update(pc.list_flatten(pc.split_pattern(rows[WARNINGS].drop_null(), ",")).to_pylist())
    return dict(sorted(codes.items()))


def _record_table(taken: list[Taken], contract: Contract, attempt: str) -> pa.Table:
    """Write signed records as they were received; of a repeat the body is kept already."""
    which = spread(len(each.run) for each in taken)
    bodies = ([None] * len(t.run) if t.verdict == REPEAT else t.run.values for t in taken)
    same = {
        "key_id": [each.sender.key_id for each in taken],
        "enterprise": [each.sender.enterprise for each in taken],
        "stream": [each.sender.stream for each in taken],
        "epoch": [each.epoch for each in taken],
        "sequence": [each.envelope.sequence for each in taken],
        "contract": [contract.id] * len(taken),
        "rows": [each.rows for each in taken],
        "landed": [each.landed_rows for each in taken],
        "quarantined": [each.refused_rows for each in taken],
        "verdict": [each.verdict for each in taken],
        "attempt": [attempt] * len(taken),
    }
    entries = {
        **as_received([each.run for each in taken]),
        "body": [body for some in bodies for body in some],
        "digest": [digest for each in taken for digest in each.digests],
        **{name: coded(pa.array(values), which) for name, values in same.items()},
    }
    return record_table(entries, [(each.run.headers, len(each.run)) for each in taken])


def _verdicts(taken: list[Taken]) -> dict[str, int]:
    """Count records by what became of them."""
    counts = Counter[str]()
    for each in taken:
        counts[each.verdict] += len(each.run)
    return dict(counts)

"""Maintain: keeps tables small and quick, and clears the rows of landings that came to nothing."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from contracts.loader import all_contracts
from kernel import clock
from kernel.errors import NplusxError, as_one
from kernel.log import logger
from pipeline import assess, audit, promises, wiring
from pipeline.crashpoints import crash_here
from pipeline.keep import KEPT_TABLE
from pipeline.seal import landing_of
from pipeline.settings import Settings, read_settings
from warehouse import attempts, ledger, quarantine, words
from warehouse.landing import RECORDS
from warehouse.rebuild import newest_facts
from warehouse.store import ConflictError, Files, TableHandle, TableStore

# Written in one piece with each attempt, under its name.
ATTEMPTED = (RECORDS, quarantine.QUARANTINE)
# Tables that only grow, by small commits; a computed table is written whole each time.
_GROWING = (
    *ATTEMPTED, *words.TABLES, assess.TABLE, audit.TABLE, ledger.TABLE, promises.TABLE,
)  # fmt: skip
# Each conflict means that another writer got on; the next run comes here again.
_TRIES = 10


@dataclass(frozen=True, slots=True)
class Kept:
    """What was done to one table."""

    table: str
    before: Files
    after: Files
    cleared: int
    swept: int
    # Other writers were always quicker: left to the next run.
    is_busy: bool


def maintain(settings: Settings | None = None) -> dict[str, object]:
    """Keep every table; safe at any time, twice at once, and again after a kill."""
    done = keep(settings)
    changed = [each.table for each in done if each.before != each.after or each.swept]
    return {
        "changed": changed,
        "busy": [each.table for each in done if each.is_busy],
        "rows_cleared": sum(each.cleared for each in done),
        "files_swept": sum(each.swept for each in done),
    }


def keep(settings: Settings | None = None) -> list[Kept]:
    """Keep every table; the trouble of one holds back no other."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    # Asked once: what is decided from here on rests on these versions or on newer ones.
    pinned = pins(store)
    done: list[Kept] = []
    failed: dict[str, NplusxError] = {}
    for name in store.names():
        try:
            done.append(_keep(settings, store, name, pinned.get(name, frozenset())))
        except NplusxError as wrong:
            failed[name] = wrong
    logger("maintain").info("maintained", tables=len(done), failed=len(failed))
    if failed:
        raise as_one(failed)
    return done


def pins(store: TableStore) -> Mapping[str, frozenset[int]]:
    """List the versions that must stay readable: what is computed, or decided and not yet sealed.

    A table is computed anew only when the next stage runs, however late that is.
    """
    found: dict[str, set[int]] = defaultdict(set)
    sealed = {entry["decision_digest"] for entry in ledger.entries(store)}
    waiting = [each for name in store.names() for each in _reads(store.open(name))]
    waiting += [
        pinned
        for row in assess.decisions(store)
        if row["decision_digest"] not in sealed
        for pinned in landing_of(row).items()
    ]
    while waiting:
        name, version = waiting.pop()
        if version not in found[name]:
            found[name].add(version)
            waiting += _reads(store.open(name, version))
    return {name: frozenset(versions) for name, versions in found.items()}


def _reads(handle: TableHandle) -> list[tuple[str, int]]:
    reads = newest_facts(handle).get("reads")
    return list(reads.items()) if isinstance(reads, dict) else []


def _keep(settings: Settings, store: TableStore, name: str, pinned: frozenset[int]) -> Kept:
    chosen = settings.maintain
    steps: Mapping[str, Callable[[], int]] = {
        "clear": lambda: clear(store, name, clock.now() - chosen.attempt_age),
        "compact": lambda: _grows(name) and store.open(name).compact(chosen.file_bytes),
        "sweep": lambda: store.open(name).sweep(chosen.retention, sorted(pinned)),
        "checkpoint": lambda: store.open(name).checkpoint(),
    }
    before = store.open(name).files()
    did: dict[str, int | None] = {}
    for step, work in steps.items():
        did[step] = patiently(work)
        crash_here(settings.crash.dir, f"maintain.after_{step}")
    after = store.open(name).files()
    return Kept(name, before, after, did["clear"] or 0, did["sweep"] or 0, None in did.values())


def _grows(name: str) -> bool:
    return name.startswith((attempts.LANDING, KEPT_TABLE)) or name in _GROWING


def patiently(step: Callable[[], int]) -> int | None:
    """Do a step that others may come before; nothing if they always do."""
    for _ in range(_TRIES):
        with suppress(ConflictError):
            return step()
    return None


def clear(store: TableStore, name: str, before: datetime) -> int:
    """Remove the rows of attempts that no landing commit names and none will."""
    if name not in ATTEMPTED:
        return 0
    handle = store.open(name)
    left = _undecided(store, handle, before)
    if left:
        left = left.difference(*attempts.bereft(store, name, attempts.Moment.now(store)).values())
    if not left:
        return 0
    _stop_those_under_way(store, handle, left)
    # What landed before it was stopped counts.
    lost = sorted(left - attempts.decided(store))
    return store.open(name).clear("attempt", lost, {"cleared": lost}) if lost else 0


def _undecided(store: TableStore, handle: TableHandle, before: datetime) -> frozenset[str]:
    """Name the attempts of that age that count for nothing and were not cleared yet."""
    commits = handle.commits()
    made = {str(c.facts["attempt"]) for c in commits if "attempt" in c.facts and c.at < before}
    cleared = {str(each) for c in commits for each in _listed(c.facts.get("cleared"))}
    return frozenset(made - cleared) - attempts.decided(store)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _stop_those_under_way(
    store: TableStore, handle: TableHandle, undecided: frozenset[str]
) -> None:
    """Fence the landing tables of attempts: one that only slept may not land rows without these."""
    named = pc.field("attempt").isin(pa.array(sorted(undecided), pa.string()))
    rows = handle.dataset().to_table(["contract"], filter=named)
    contracts = set(rows["contract"].to_pylist())
    for contract in all_contracts().values():
        if contract.id in contracts:
            store.open(contract.table).fence()

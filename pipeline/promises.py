"""Promises across rows, asked after landing: broken ones hold back their contract's enterprise."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

import pyarrow as pa

from contracts.loader import all_contracts
from contracts.model import Contract
from contracts.schema import INSTANT, landing_schema
from contracts.violations import Kind
from kernel import canonical, clock
from kernel.errors import ChecksFailedError, ConfigurationError
from kernel.log import logger
from pipeline import wiring
from pipeline.settings import Settings, read_settings
from warehouse.promises import Broken, Promises, links
from warehouse.store import ConflictError, TableHandle, TableStore
from warehouse.tables import Source

TABLE = "promise_finding"
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        # Of which commit the word is: the newest counts.
        ("number", pa.int64()),
        ("contract", pa.string()),
        ("enterprise", pa.string()),
        ("source", pa.string()),
        ("code", pa.string()),
        ("key", pa.string()),
        ("rows", pa.int64()),
        ("example", pa.string()),
        # Open; unchecked, for there is nothing to ask; settled, by itself or by who took it on.
        ("state", pa.string()),
        ("who", pa.string()),
        ("why", pa.string()),
        ("at", INSTANT),
    ]
)
OPEN, UNCHECKED, SETTLED = "open", "unchecked", "settled"
_RETRIES = 5
_STATED = frozenset({str(Kind.FREQUENCY), str(Kind.ROWS)})
Finding = Mapping[str, object]
Told = TypeVar("Told")


def check(settings: Settings | None = None) -> dict[str, object]:
    """Ask every promise across rows whose tables have changed; fails while one is broken."""
    settings = settings or read_settings()
    look(settings)
    standing = findings(wiring.store(settings))
    broken = [each for each in standing if each["state"] == OPEN]
    logger("promises").info("checked", broken=len(broken))
    if broken:
        raise ChecksFailedError(
            f"{len(broken)} promises across rows are broken. {worded(broken[0])}",
            where=f"{TABLE}, {broken[0]['id']}",
            cure="let the source send what is missing, or a newer version; or take them on with"
            " `nplusx promises --accept --who … --why …`.",
        )
    return {"broken": 0, "unchecked": len(standing)}


def findings(store: TableStore) -> list[Finding]:
    """List what is not settled, by its newest word."""
    if not store.exists(TABLE):
        return []
    return [each for each in _newest(store.open(TABLE)).values() if each["state"] != SETTLED]


def holding(store: TableStore, contracts: Collection[str]) -> dict[str, list[Finding]]:
    """Give, by enterprise, the broken promises of contracts: what rests on these must wait."""
    found: dict[str, list[Finding]] = {}
    for each in findings(store):
        if each["state"] == OPEN and each["contract"] in contracts:
            found.setdefault(str(each["enterprise"]), []).append(each)
    return found


def worded(finding: Finding) -> str:
    """Say what is broken, and for whom."""
    place = f"{finding['contract']} of {finding['enterprise']} ({finding['source']})"
    if finding["state"] == UNCHECKED:
        return f"{place}: {finding['code']} cannot be checked, for its source sends no such rows."
    return f"{place}: {finding['code']} {finding['key']} in {finding['rows']} rows."


def accept(ids: Collection[str], who: str, why: str, settings: Settings | None = None) -> int:
    """Settle findings, or all that are open, by a person's word; the rows stay as they are."""
    store = wiring.store(settings or read_settings())
    store.create(TABLE, SCHEMA)
    return _tried(lambda: _accept(store, ids, who, why))


def _accept(store: TableStore, ids: Collection[str], who: str, why: str) -> int:
    handle = store.open(TABLE)
    taken = [
        each for each in findings(store) if (each["id"] in ids if ids else each["state"] == OPEN)
    ]
    if missing := sorted(set(ids) - {str(each["id"]) for each in taken}):
        raise ConfigurationError(
            f"No finding {missing[0]} is open.", cure="take ids from `nplusx promises`."
        )
    if taken:
        said = {"state": SETTLED, "who": who, "why": why}
        handle.append(_rows(handle, [{**each, **said} for each in taken]), {}, {})
    return len(taken)


def look(settings: Settings, only: Collection[str] = ()) -> None:
    """Bring findings up to date: of all contracts, or of some; what has not changed is skipped."""
    store = wiring.store(settings)
    store.create(TABLE, SCHEMA)
    _tried(lambda: _look(settings, store, only))


def _tried(work: Callable[[], Told]) -> Told:
    """Do what ends in a commit; if another was quicker, see what is left to do."""
    for _ in range(_RETRIES):
        with suppress(ConflictError):
            return work()
    return work()


def _look(settings: Settings, store: TableStore, only: Collection[str]) -> None:
    handle, known = store.open(TABLE), all_contracts()
    hours = settings.audit.lateness_hours
    standing = _newest(handle)
    marks: dict[str, int] = {}
    news: list[Finding] = []
    for contract in known.values():
        if (only and contract.id not in only) or not store.exists(contract.table):
            continue
        asked = {contract.table: contract} | {
            link.target.table: link.target for link in links(contract, known)
        }
        tables, versions = _open(store, asked.values())
        mark = f"promise/{contract.digest[:16]}/{hours}"
        seen = {f"{mark}/{name}": version for name, version in versions.items()}
        if all(handle.mark(name) == version for name, version in seen.items()):
            continue
        promises = Promises(wiring.engine(), contract, tables)
        found = {each["id"]: each for each in _found(promises, timedelta(hours=hours))}
        news += _news(found, _of(contract, standing, stated=False))
        marks |= seen
    news += _stated(
        store, [each for each in known.values() if not only or each.id in only], standing
    )
    if marks or news:
        handle.append(_rows(handle, news), marks, {"found": len(news)})


def _stated(
    store: TableStore, contracts: Iterable[Contract], standing: Mapping[str, Finding]
) -> Iterator[Finding]:
    """Ask how often and how many, which another table's rows may settle: each time anew."""
    asked = [each for each in contracts if each.frequency or each.least_rows]
    if not asked:
        return
    everything = [each for each in all_contracts().values() if store.exists(each.table)]
    if not everything:
        return
    tables, _ = _open(store, [*everything, *asked])
    engine = wiring.engine()
    alive = pa.concat_tables(Promises(engine, each, tables).alive() for each in everything)
    for contract in asked:
        promises = Promises(engine, contract, tables)
        found = [_finding(contract, each, OPEN) for each in promises.stated(alive)]
        mine = _of(contract, standing, stated=True)
        yield from _news({each["id"]: each for each in found}, mine)


def _of(contract: Contract, standing: Mapping[str, Finding], *, stated: bool) -> dict[str, Finding]:
    """Take the findings of a contract about its rows, or about how often and how many."""
    return {
        identity: each
        for identity, each in standing.items()
        if each["contract"] == contract.id and (each["code"] in _STATED) == stated
    }


def _open(
    store: TableStore, contracts: Iterable[Contract]
) -> tuple[dict[str, Source], dict[str, int]]:
    """Open landing tables; one that does not exist is an empty one of version -1."""
    tables: dict[str, Source] = {}
    versions: dict[str, int] = {}
    for each in contracts:
        tables[each.table], versions[each.table] = landing_schema(each).empty_table(), -1
        if store.exists(each.table):
            # A table of an older version gets the columns that it lacks.
            store.create(each.table, landing_schema(each), ("_month",))
            handle = store.open(each.table)
            tables[each.table], versions[each.table] = handle.dataset(), handle.version
    return tables, versions


def _found(promises: Promises, late: timedelta) -> Iterator[Finding]:
    contract = promises.contract
    for each in promises.contradicting():
        yield _finding(contract, each, OPEN)
    for link in links(contract, all_contracts()):
        for each in promises.unanswered(link, late):
            yield _finding(contract, each, OPEN)
        for each in promises.unpublished(link):
            yield _finding(contract, each, UNCHECKED)


def _finding(contract: Contract, broken: Broken, state: str) -> Finding:
    key = canonical.dumps(broken.key).decode()
    said = [contract.id, broken.enterprise, broken.source, broken.code, key]
    return {
        "id": canonical.digest_of(said)[:16],
        "contract": contract.id,
        "enterprise": broken.enterprise,
        "source": broken.source,
        "code": broken.code,
        "key": key,
        "rows": broken.rows,
        "example": broken.example,
        "state": state,
        "who": "",
        "why": "",
    }


def _news(found: Mapping[object, Finding], standing: Mapping[str, Finding]) -> Iterator[Finding]:
    """Tell what is newly broken, and what settled itself; a person's word stands."""
    for identity, each in found.items():
        before = standing.get(str(identity))
        if before is None or (before["state"] == SETTLED and not before["who"]):
            yield each
    for identity, each in standing.items():
        if each["state"] != SETTLED and identity not in found:
            yield {**each, "state": SETTLED, "why": "not found again"}


def _newest(handle: TableHandle) -> dict[str, Finding]:
    rows = handle.dataset().to_table().sort_by("number").to_pylist()
    return {str(row["id"]): row for row in rows}


def _rows(handle: TableHandle, news: Iterable[Finding]) -> pa.Table:
    told = {"number": handle.version + 1, "at": clock.now()}
    return pa.Table.from_pylist([{**each, **told} for each in news], schema=SCHEMA)

"""Promises across rows, asked after landing: broken ones hold back their contract's enterprise."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta

import pyarrow as pa

from contracts.loader import all_contracts
from contracts.model import Contract, Publisher
from contracts.schema import INSTANT, landing_schema
from contracts.violations import Kind
from kernel import canonical, clock
from kernel.errors import ChecksFailedError, ConfigurationError
from kernel.ids import ContractId
from kernel.log import logger
from pipeline import wiring
from pipeline.settings import Settings, read_settings
from warehouse import words
from warehouse.promises import Broken, Promises, links
from warehouse.store import TableHandle, TableStore, tried
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
        # Open; unchecked, for there is nothing to ask; settled, for it was not found again.
        ("state", pa.string()),
        ("at", INSTANT),
    ]
)
OPEN, UNCHECKED, SETTLED = "open", "unchecked", "settled"
CURE = (
    "let the source send what is missing, or a newer version; or take it on with"
    " `nplusx doctor waive ID --who … --why …`."
)
# By these a row of the county names what it is about.
_NAMES = ("claim_id", "project_id", "enterprise_uscc")
_STATED = frozenset({str(Kind.FREQUENCY), str(Kind.ROWS)})
Finding = Mapping[str, object]


def check(settings: Settings | None = None) -> dict[str, object]:
    """Ask every promise across rows whose tables have changed; fails while one is broken."""
    return require_kept(listed((), settings or read_settings()))


def listed(ids: Collection[str], settings: Settings) -> list[Finding]:
    """Bring findings up to date and list them: all, or those whose ids begin like these."""
    look(settings)
    found = findings(wiring.store(settings))
    for each in ids:
        if not each or not any(str(finding["id"]).startswith(each) for finding in found):
            raise ConfigurationError(
                f"There is no finding {each!r}.", cure="take ids from `nplusx promises`."
            )
    return [each for each in found if not ids or str(each["id"]).startswith(tuple(ids))]


def require_kept(found: Collection[Finding]) -> dict[str, object]:
    """Fail if a promise is broken and nobody has taken it on."""
    broken = [each for each in found if is_broken(each)]
    logger("promises").info("checked", broken=len(broken))
    if broken:
        raise ChecksFailedError(
            f"{len(broken)} promises across rows are broken. {worded(broken[0])}",
            where=f"{TABLE}, {broken[0]['id']}",
            cure=CURE,
        )
    explained = sum(each["word"] is not None for each in found)
    return {"broken": 0, "explained": explained, "unchecked": len(found) - explained}


def findings(store: TableStore) -> list[Finding]:
    """List what is not settled, each with the word of who took it on, if somebody did."""
    if not store.exists(TABLE):
        return []
    said = words.newest(store, words.OF_FINDINGS, clock.now())
    return [
        {**each, "word": said.get(identity)}
        for identity, each in _newest(store.open(TABLE)).items()
        if each["state"] != SETTLED
    ]


def is_broken(finding: Finding) -> bool:
    """Tell whether a promise is broken and nobody has taken it on."""
    return finding["state"] == OPEN and finding["word"] is None


def holding(store: TableStore, contracts: Collection[str]) -> list[Finding]:
    """List the broken promises of contracts: what rests on these must wait."""
    return [each for each in findings(store) if is_broken(each) and each["contract"] in contracts]


def concerns(finding: Finding, claim: Mapping[str, object]) -> bool:
    """Tell whether a claim rests on what breaks a promise.

    A factory's rows are about that factory. What the county keeps is about the claim, the project
    or the enterprise that it names; if it names none, about every claim.
    """
    if all_contracts()[ContractId(str(finding["contract"]))].publisher is Publisher.FACTORY:
        return finding["enterprise"] == claim["enterprise_uscc"]
    named = canonical.loads(str(finding["key"]))
    return not isinstance(named, dict) or all(
        named[name] == claim[name] for name in _NAMES if name in named
    )


def worded(finding: Finding) -> str:
    """Say what is broken, and for whom."""
    place = f"{finding['contract']} of {finding['enterprise']} ({finding['source']})"
    if finding["state"] == UNCHECKED:
        return f"{place}: {finding['code']} cannot be checked, for its source sends no such rows."
    return f"{place}: {finding['code']} {finding['key']} in {finding['rows']} rows."


def look(settings: Settings, only: Collection[str] = ()) -> None:
    """Bring findings up to date: of all contracts, or of some; what has not changed is skipped."""
    store = wiring.store(settings)
    store.create(TABLE, SCHEMA)
    tried(lambda: _look(settings, store, only))


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
    gone = {name: each for name, each in standing.items() if each["contract"] not in known}
    news += _news({}, gone)
    if marks or news:
        handle.append(_rows(handle, news), marks, {"found": len(news)})


def _stated(
    store: TableStore, contracts: Iterable[Contract], standing: Mapping[str, Finding]
) -> Iterator[Finding]:
    """Ask how often and how many, which another table's rows may settle: each time anew."""
    told = {each["contract"] for each in standing.values() if each["code"] in _STATED}
    # A contract that promises nothing of the kind any more has broken nothing of it.
    asked = [each for each in contracts if each.frequency or each.least_rows or each.id in told]
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
    # A person's word is of this break: another one, or more of it, bears another name.
    said = [contract.id, broken.enterprise, broken.source, broken.code, key, broken.seen]
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
    }


def _news(found: Mapping[object, Finding], standing: Mapping[str, Finding]) -> Iterator[Finding]:
    """Tell what is newly broken, and what settled itself."""
    for identity, each in found.items():
        if standing.get(str(identity), {"state": SETTLED})["state"] == SETTLED:
            yield each
    for identity, each in standing.items():
        if each["state"] != SETTLED and identity not in found:
            yield {**each, "state": SETTLED}


def _newest(handle: TableHandle) -> dict[str, Finding]:
    rows = handle.dataset().to_table().sort_by("number").to_pylist()
    return {str(row["id"]): row for row in rows}


def _rows(handle: TableHandle, news: Iterable[Finding]) -> pa.Table:
    told = {"number": handle.version + 1, "at": clock.now()}
    # A table of an older version has columns that nothing is said in any more.
    schema = handle.dataset().schema
    return pa.Table.from_pylist([{**each, **told} for each in news], schema=schema)

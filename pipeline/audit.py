"""Audit: Great Expectations as the second opinion on what the gate decided; landing never waits."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from contracts import decode
from contracts.loader import all_contracts
from contracts.model import Contract
from contracts.schema import INSTANT, WARNINGS, batch_schema, landing_schema
from contracts.suite import differ, second_opinion
from contracts.violations import Kind
from kernel import canonical, clock
from kernel.errors import ChecksFailedError
from kernel.log import logger
from pipeline import wiring
from pipeline.settings import Settings, read_settings
from pipeline.standing import mark_name
from warehouse import attempts, quarantine, words
from warehouse.store import TableHandle, TableStore, tried

TABLE = "audit_finding"
SCHEMA = pa.schema(
    [
        ("contract", pa.string()),
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("row", pa.int32()),
        ("gate", pa.list_(pa.string())),
        ("second_opinion", pa.list_(pa.string())),
        ("found_at", INSTANT),
        # The newest word on a row counts: closed once both agree.
        ("is_open", pa.bool_()),
    ]
)
CURE = (
    "mend gate, suite or contract and audit again, or take it on with"
    " `nplusx doctor waive ID --who … --why …`."
)
Finding = Mapping[str, object]
Place = tuple[str, int, int, int]
# Rows that landed, and rows that were refused.
_Both = tuple[pa.Table, pa.Table]
_PLACED = pa.schema(
    [quarantine.SCHEMA.field(name) for name in ("topic", "partition", "offset", "row")]
)


def audit(settings: Settings | None = None) -> dict[str, object]:
    """Check what came since the last audit; fails as long as a disagreement is open."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    store.create(TABLE, SCHEMA)
    audited: dict[str, int] = {}
    for contract in all_contracts().values():
        if store.exists(contract.table):
            # A table of an older version gets the columns that it lacks.
            store.create(contract.table, landing_schema(contract), ("_month",))
            audited[contract.id] = tried(partial(_looked, settings, store, contract))
    left = [each for each in findings(store) if each["word"] is None]
    logger("audit").info("audited", rows=sum(audited.values()), findings=len(left))
    if left:
        first = left[0]
        raise ChecksFailedError(
            f"Gate and second opinion disagree on {len(left)} rows; of the first the gate says"
            f" {first['gate']}, the second opinion {first['second_opinion']}.",
            where=f"{TABLE}, {'/'.join(map(str, _place_of(first)))}",
            cure=CURE,
        )
    return {"rows": audited, "findings": len(left)}


def _looked(settings: Settings, store: TableStore, contract: Contract) -> int:
    _recheck(settings, store, contract)
    return _audit(settings, store, contract)


def findings(store: TableStore) -> list[Finding]:
    """List the rows in dispute, each with an id and the word of who took it on, if somebody did."""
    if not store.exists(TABLE):
        return []
    rows = store.open(TABLE).dataset().to_table().sort_by("found_at").to_pylist()
    said = words.newest(store, words.OF_FINDINGS, clock.now())
    newest = {_place_of(row): row for row in rows}.values()
    disputed = [row for row in newest if row["is_open"] is not False]
    named = [(_id(row), row) for row in disputed]
    return [{**row, "id": name, "word": said.get(name)} for name, row in named]


def _id(row: Finding) -> str:
    """Name a dispute by its row and both opinions: a person's word is of these and no others."""
    opinions = row["gate"], row["second_opinion"]
    return canonical.digest_of([row["contract"], _place_of(row), opinions])[:16]


def _place_of(row: Mapping[str, object]) -> Place:
    part, offset, number = (int(str(row[name])) for name in ("partition", "offset", "row"))
    return str(row["topic"]), part, offset, number


def _recheck(settings: Settings, store: TableStore, contract: Contract) -> None:
    """Look again at rows in dispute; those on which both agree by now are settled."""
    disputed = {_place_of(r) for r in findings(store) if r["contract"] == contract.id}
    if not disputed:
        return
    both = _at(store, store.open(contract.table), contract, disputed)
    settled = [
        {**_finding(contract, place, mine, theirs), "is_open": False}
        for place, mine, theirs, differ in _opinions(settings, contract, *both)
        if not differ
    ]
    if settled:
        handle = store.open(TABLE)
        handle.append(_told(handle, settled), {}, {})


def docs_folder(settings: Settings) -> Path:
    """Name the folder of the published Data Docs."""
    return settings.state_dir / "data_docs"


def _audit(settings: Settings, store: TableStore, contract: Contract) -> int:
    findings = store.open(TABLE)
    landing = store.open(contract.table)
    marks: dict[str, int] = {}
    firsts: dict[tuple[str, int], int] = {}
    portions: list[_Both] = []
    for topic, partition in _partitions(landing):
        mark = f"audit/{topic}/{partition}"
        first, end = findings.mark(mark) or 0, landing.mark(mark_name(topic, partition)) or 0
        firsts[topic, partition] = first
        here = _Span(topic, partition, first, end)
        rows = _slice(landing, here, settings.audit.rows)
        if rows.num_rows >= settings.audit.rows:
            here = replace(here, end=int(pc.max(rows["_offset"]).as_py()) + 1)
        held = _refused(store, contract, here).sort_by("offset")
        if held.num_rows > settings.audit.rows:
            # As many refused rows are looked at as landed ones, and whole records of both.
            here = replace(here, end=int(held["offset"][settings.audit.rows - 1].as_py()) + 1)
            rows = rows.filter(pc.field("_offset") < here.end)
            held = held.filter(pc.field("offset") < here.end)
        if here.end > first:
            marks[mark] = here.end
            portions.append((rows, held))
    mark = f"audit/replays/{contract.table}"
    ids, until = _replays(landing, findings.mark(mark) or 0, settings.audit.rows)
    if ids:
        marks[mark] = until
        # What the watermark has not passed yet is looked at in its turn.
        places = {
            each for each in _places_of(store, contract, ids) if each[2] < firsts.get(each[:2], inf)
        }
        portions.append(_at(store, landing, contract, places))
    if not marks:
        return 0
    landed, refused = (pa.concat_tables(each) for each in zip(*portions, strict=True))
    both = _by_this_version(landing, contract, landed, refused)
    found = [
        _finding(contract, *each[:3]) for each in _opinions(settings, contract, *both) if each[3]
    ]
    findings.append(_told(findings, found), marks, {"contract": contract.id})
    return sum(each.num_rows for each in both)


def _told(handle: TableHandle, rows: Sequence[Finding]) -> pa.Table:
    # A table of an older version has columns that nothing is said in any more.
    return pa.Table.from_pylist(list(rows), schema=handle.dataset().schema)


def _replays(landing: TableHandle, since: int, most: int) -> tuple[set[str], int]:
    """Name rows that replays landed after a version, about as many as allowed, and the last one."""
    ids: set[str] = set()
    for commit in landing.commits():
        if commit.version > since and isinstance(those := commit.facts.get("replayed"), list):
            ids.update(map(str, those))
            since = commit.version
        if len(ids) >= most:
            break
    return ids, since


def _places_of(store: TableStore, contract: Contract, ids: set[str]) -> set[Place]:
    """Tell where quarantined rows stand, by their ids."""
    named = pc.field("id").isin(pa.array(sorted(ids), pa.string()))
    where = (pc.field("contract") == contract.id) & named
    return set(_places(attempts.visible(store, quarantine.QUARANTINE, _PLACED, where), ""))


def _at(store: TableStore, landing: TableHandle, contract: Contract, places: set[Place]) -> _Both:
    """Take the rows at these places, landed and refused; a whole record's are all of its rows."""
    offsets = pa.array(sorted({offset for _, _, offset, _ in places}), pa.int64())
    mine = (pc.field("contract") == contract.id) & pc.field("offset").isin(offsets)
    landed = landing.dataset().to_table(filter=pc.field("_offset").isin(offsets))
    refused = _readable(attempts.quarantined(store, quarantine.SCHEMA, where=mine))

    def is_there(at: Place) -> bool:
        return not places.isdisjoint({at, (*at[:3], quarantine.WHOLE_RECORD)})

    return _kept(landed, "_", is_there), _kept(refused, "", is_there)


def _kept(rows: pa.Table, prefix: str, is_wanted: Callable[[Place], bool]) -> pa.Table:
    return rows.filter(pa.array(list(map(is_wanted, _places(rows, prefix))), pa.bool_()))


def _by_this_version(
    landing: TableHandle, contract: Contract, landed: pa.Table, refused: pa.Table
) -> _Both:
    """Leave out what an earlier version of the contract judged: this one's suite asks otherwise."""
    commit_of = attempts.landed_by(landing.commits())

    def is_mine(place: Place) -> bool:
        commit = commit_of(*place)
        return commit is not None and commit.facts.get("contract_digest") == contract.digest

    return _kept(landed, "_", is_mine), _kept(refused, "", is_mine)


@dataclass(frozen=True, slots=True)
class _Span:
    """Offsets of a partition, the end not among them."""

    topic: str
    partition: int
    first: int
    end: int


def _partitions(landing: TableHandle) -> list[tuple[str, int]]:
    """Name the partitions that landing has read."""
    return sorted(
        {
            (str(commit.facts["topic"]), int(part))
            for commit in landing.commits()
            if isinstance(offsets := commit.facts.get("offsets"), dict)
            for part in offsets
        }
    )


def _slice(landing: TableHandle, span: _Span, most: int) -> pa.Table:
    """Take the oldest unaudited rows of a partition, whole records, about as many as allowed."""
    within = (
        (pc.field("_topic") == span.topic)
        & (pc.field("_partition") == span.partition)
        & (pc.field("_offset") >= span.first)
        & (pc.field("_offset") < span.end)
    )
    rows = landing.dataset().to_table(filter=within).sort_by("_offset")
    if rows.num_rows <= most:
        return rows
    last = rows["_offset"][most - 1]
    return rows.filter(pc.less_equal(rows["_offset"], last))


def _refused(store: TableStore, contract: Contract, span: _Span) -> pa.Table:
    rows = attempts.quarantined(store, quarantine.SCHEMA).filter(
        (pc.field("contract") == contract.id)
        & (pc.field("topic") == span.topic)
        & (pc.field("partition") == span.partition)
        & (pc.field("offset") >= span.first)
        & (pc.field("offset") < span.end)
    )
    return _readable(rows)


def _readable(refused: pa.Table) -> pa.Table:
    """Leave out what is no row: it cannot be judged a second time."""
    told = zip(refused["row"].to_pylist(), refused["reasons"].to_pylist(), strict=True)
    rows = [at != quarantine.WHOLE_RECORD and Kind.UNDECODABLE not in why for at, why in told]
    return refused.filter(pa.array(rows, pa.bool_()))


def _opinions(
    settings: Settings, contract: Contract, landed: pa.Table, refused: pa.Table
) -> list[tuple[Place, set[str], set[str], bool]]:
    """Put both opinions on each row side by side, and tell whether they differ."""
    columns = batch_schema(contract).names
    raws = refused["raw"].to_pylist()
    again = decode.settle([decode.read_rows(raws, contract)], contract)
    rows = pa.concat_tables([landed.select(columns), again.rows.select(columns)])
    deletes = [
        op == "delete" for op in [*landed["_op"].to_pylist(), *again.rows["_op"].to_pylist()]
    ]
    with warnings.catch_warnings():
        # Deprecations inside GX's own libraries are not ours to mend.
        warnings.simplefilter("ignore")
        opinions = second_opinion(rows, contract, docs_folder(settings) / contract.id)
    gate: list[set[str]] = [
        set(codes.split(",")) if codes else set() for codes in landed[WARNINGS].to_pylist()
    ]
    gate += [set(reasons) for reasons in refused["reasons"].to_pylist()]
    places = [*_places(landed, "_"), *_places(refused, "")]
    return [
        (place, mine, theirs, differ(mine, theirs, contract, is_delete=is_delete))
        for place, mine, theirs, is_delete in zip(places, gate, opinions, deletes, strict=True)
    ]


def _places(rows: pa.Table, prefix: str) -> list[Place]:
    names = [f"{prefix}{name}" for name in ("topic", "partition", "offset", "row")]
    return list(zip(*(rows[name].to_pylist() for name in names), strict=True))


def _finding(
    contract: Contract, place: Place, mine: set[str], theirs: set[str]
) -> Mapping[str, object]:
    topic, partition, offset, row = place
    return {
        "contract": contract.id,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "row": row,
        "gate": sorted(mine),
        "second_opinion": sorted(theirs),
        "found_at": clock.now(),
        "is_open": True,
    }

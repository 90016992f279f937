"""Audit: Great Expectations as the second opinion on what the gate decided; landing never waits."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from contracts import decode
from contracts.loader import all_contracts
from contracts.model import Contract
from contracts.schema import INSTANT, batch_schema
from contracts.suite import COVERED, second_opinion
from contracts.violations import Kind
from kernel import clock
from kernel.errors import ChecksFailedError
from kernel.log import logger
from pipeline import wiring
from pipeline.settings import Settings, read_settings
from pipeline.standing import mark_name
from warehouse import attempts, quarantine
from warehouse.store import TableHandle, TableStore

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
    ]
)
Place = tuple[str, int, int, int]


def audit(settings: Settings | None = None) -> dict[str, object]:
    """Check what came since the last audit; fails as long as a disagreement is on record."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    store.create(TABLE, SCHEMA)
    audited = {
        contract.id: _audit(settings, store, contract)
        for contract in all_contracts().values()
        if store.exists(contract.table)
    }
    open_findings = store.open(TABLE).dataset().count_rows()
    logger("audit").info("audited", rows=sum(audited.values()), findings=open_findings)
    if open_findings:
        raise ChecksFailedError(
            f"Gate and second opinion disagree on {open_findings} rows.",
            where=TABLE,
            cure="read the findings; mend gate, suite or contract.",
        )
    return {"rows": audited, "findings": open_findings}


def docs_folder(settings: Settings) -> Path:
    """Name the folder of the published Data Docs."""
    return settings.state_dir / "data_docs"


def _audit(settings: Settings, store: TableStore, contract: Contract) -> int:
    findings = store.open(TABLE)
    landing = store.open(contract.table)
    marks: dict[str, int] = {}
    landed: list[pa.Table] = []
    refused: list[pa.Table] = []
    for topic, partition in _partitions(landing):
        mark = f"audit/{topic}/{partition}"
        first, end = findings.mark(mark) or 0, landing.mark(mark_name(topic, partition)) or 0
        here = _Span(topic, partition, first, end)
        rows = _slice(landing, here, settings.audit.rows)
        if rows.num_rows >= settings.audit.rows:
            here = replace(here, end=int(pc.max(rows["_offset"]).as_py()) + 1)
        if here.end > first:
            marks[mark] = here.end
            landed.append(rows)
            refused.append(_refused(store, contract, here))
    if not marks:
        return 0
    found = _compare(settings, contract, pa.concat_tables(landed), pa.concat_tables(refused))
    findings.append(found, marks, {"contract": contract.id})
    return sum(each.num_rows for each in (*landed, *refused))


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
        & (pc.field("row") != quarantine.WHOLE_RECORD)
    )
    # What is no row at all cannot be judged a second time.
    readable = [Kind.UNDECODABLE not in reasons for reasons in rows["reasons"].to_pylist()]
    return rows.filter(pa.array(readable, pa.bool_()))


def _compare(
    settings: Settings, contract: Contract, landed: pa.Table, refused: pa.Table
) -> pa.Table:
    """Put both opinions side by side; a row is named by its place on the bus."""
    columns = batch_schema(contract).names
    again = decode.decode_json(
        b"[" + b",".join(refused["raw"].to_pylist()) + b"]", contract, lines=False
    )
    rows = pa.concat_tables([landed.select(columns), again.rows.select(columns)])
    deletes = [
        op == "delete" for op in [*landed["_op"].to_pylist(), *again.rows["_op"].to_pylist()]
    ]
    with warnings.catch_warnings():
        # Deprecations inside GX's own libraries are not ours to mend.
        warnings.simplefilter("ignore")
        opinions = second_opinion(rows, contract, docs_folder(settings) / contract.id)
    gate: list[set[str]] = [set() for _ in range(landed.num_rows)]
    gate += [set(reasons) for reasons in refused["reasons"].to_pylist()]
    places = [*_places(landed, "_"), *_places(refused, "")]
    found = [
        _finding(contract, place, mine, theirs)
        for place, mine, theirs, is_delete in zip(places, gate, opinions, deletes, strict=True)
        if _differ(mine, theirs, contract, is_delete=is_delete)
    ]
    return pa.Table.from_pylist(found, schema=SCHEMA)


def _differ(mine: set[str], theirs: set[str], contract: Contract, *, is_delete: bool) -> bool:
    """Compare on what both judge: of a delete, only its key."""
    if is_delete:
        theirs = {code for code in theirs if code.rpartition(".")[0] in contract.key}
    # A value of the wrong type is null to the suite: there it can only miss it as required.
    untyped = {f"{column}.required" for column in _columns_of(mine, Kind.TYPE)}
    return {code for code in mine if code.rpartition(".")[2] in COVERED} != theirs - untyped


def _columns_of(reasons: set[str], kind: Kind) -> set[str]:
    return {reason.rpartition(".")[0] for reason in reasons if reason.endswith(f".{kind}")}


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
    }

"""Assess: from facts and dated parameters to a decision; one for each state of facts and law."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from contracts.schema import INSTANT
from kernel import canonical, clock
from kernel.errors import ChecksFailedError, ConfigurationError, NplusxError, as_one
from kernel.log import logger
from pipeline import dossier as dossiers
from pipeline import pack, promises, wiring
from pipeline.settings import Settings, read_settings
from policy.decision import Decision, decide
from policy.verification.dossier import Dossier
from warehouse.rebuild import landing_versions
from warehouse.store import ConflictError, TableHandle, TableStore

Row = Mapping[str, object]
TABLE = "decision"
SCHEMA = pa.schema(
    [
        ("claim_id", pa.string()),
        ("number", pa.int64()),
        ("project_id", pa.string()),
        ("enterprise", pa.string()),
        ("outcome", pa.string()),
        ("amount_cny", pa.decimal128(18, 2)),
        ("decided_on", pa.date32()),
        ("facts_digest", pa.string()),
        ("decision_digest", pa.string()),
        ("decision", pa.binary()),
        ("versions", pa.string()),
        ("decided_at", INSTANT),
    ]
)


def facts_digest(dossier: Dossier, day: date, code: Mapping[str, str]) -> str:
    """Name all that a decision depends on: facts, law, and whether acceptance has been reached."""
    accepted = dossier.acceptance
    is_reached = accepted is not None and accepted.accepted_on <= day
    return canonical.digest_of([_said(asdict(dossier)), is_reached, code])


def _said(fact: object) -> object:
    """Keep what facts say: neither their places on the bus nor the order in which they came."""
    if isinstance(fact, dict):
        return {name: _said(value) for name, value in fact.items() if name != "origin"}
    if isinstance(fact, tuple):
        return sorted(map(_said, fact), key=canonical.dumps)
    return fact


def assess(settings: Settings | None = None) -> dict[str, object]:
    """Decide every claim whose facts or law are new; a decision is never changed, only followed."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    store.create(TABLE, SCHEMA)
    handles = {name: store.open(name) for name in dossiers.MARTS}
    marts = {name: handle.dataset().to_table() for name, handle in handles.items()}
    versions = landing_versions(store, {name: each.version for name, each in handles.items()})
    if versions is None:
        # A refine run is half-way through; the asset event at its end comes here again.
        return {"decided": [], "held": {}, "table_version": store.open(TABLE).version}
    decided: list[str] = []
    failed: dict[str, NplusxError] = {}
    # What broken promises across its enterprise's rows keep a claim waiting for.
    held: dict[str, str] = {}
    code = pack.code_files()
    promises.look(settings, dossiers.contracts())
    broken = promises.holding(store, dossiers.contracts())
    for claim in dossiers.claims(marts):
        try:
            dossier = dossiers.build(claim, marts)
            about = {**asdict(dossier.project), "claim_id": claim}
            if why := [each for each in broken if promises.concerns(each, about)]:
                held[claim] = " ".join(map(promises.worded, why))
            elif _decide(store, dossier, code, versions):
                decided.append(claim)
        except (ChecksFailedError, ConfigurationError) as wrong:
            # One bad claim must not keep the others waiting: it is named when they are decided.
            failed[claim] = wrong
    logger("assess").info("assessed", decided=len(decided), failed=len(failed), held=len(held))
    if failed:
        raise as_one(failed)
    return {"decided": decided, "held": held, "table_version": store.open(TABLE).version}


def _decide(
    store: TableStore, dossier: Dossier, code: Mapping[str, str], versions: Mapping[str, int]
) -> bool:
    claim, day = dossier.claim_id, clock.today()
    digest = facts_digest(dossier, day, code)
    handle = store.open(TABLE)
    newest = newest_decision(handle, claim)
    if newest is not None and newest["facts_digest"] == digest:
        return False
    mark = f"decision/{claim}"
    number = (handle.mark(mark) or 0) + 1
    row = _row(decide(dossier, day), number, digest, versions)
    try:
        handle.append(row, {mark: number}, {"claim": claim, "facts": digest})
    except ConflictError:
        # Another run decides in the same moment: look again whether these facts still wait.
        return _decide(store, dossier, code, versions)
    return True


def _row(decision: Decision, number: int, digest: str, versions: Mapping[str, int]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "claim_id": decision.claim_id,
                "number": number,
                "project_id": decision.project_id,
                "enterprise": decision.enterprise_uscc,
                "outcome": str(decision.outcome),
                "amount_cny": decision.amount_cny,
                "decided_on": decision.decided_on,
                "facts_digest": digest,
                "decision_digest": decision.digest,
                "decision": decision.as_json(),
                "versions": canonical.dumps(dict(versions)).decode(),
                "decided_at": clock.now(),
            }
        ],
        schema=SCHEMA,
    )


def newest_decision(handle: TableHandle, claim: str) -> Row | None:
    """Find the decision on a claim that counts: the last."""
    rows = handle.dataset().to_table(filter=pc.field("claim_id") == claim).to_pylist()
    return max(rows, key=lambda row: int(row["number"]), default=None)


def decisions(store: TableStore) -> list[Row]:
    """List the decision that counts of each claim."""
    if not store.exists(TABLE):
        return []
    handle = store.open(TABLE)
    rows = handle.dataset().to_table().sort_by("number").to_pylist()
    newest: dict[str, Row] = {str(row["claim_id"]): row for row in rows}
    return [newest[claim] for claim in sorted(newest)]

"""Assess: from facts and dated parameters to a decision; one for each state of facts."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date

import pyarrow as pa
from policy.decision import Decision, decide
from policy.verification.dossier import Dossier

from contracts.schema import INSTANT
from kernel import canonical, clock
from kernel.log import logger
from pipeline import dossier as dossiers
from pipeline import wiring
from pipeline.settings import Settings, read_settings
from warehouse.store import ConflictError, TableStore

TABLE = "decision"
SCHEMA = pa.schema(
    [
        ("claim_id", pa.string()),
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


def facts_digest(dossier: Dossier) -> str:
    """Name the state of facts that a decision rests on."""
    return canonical.digest_of(asdict(dossier))


def assess(settings: Settings | None = None) -> dict[str, object]:
    """Decide every claim whose facts are new; a decision is never changed, only followed."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    store.create(TABLE, SCHEMA)
    handles = {name: store.open(name) for name in dossiers.MARTS}
    marts = {name: handle.dataset().to_table() for name, handle in handles.items()}
    versions = {name: handle.version for name, handle in handles.items()}
    decided = [claim for claim in dossiers.claims(marts) if _decide(store, claim, marts, versions)]
    logger("assess").info("assessed", decided=len(decided))
    return {"decided": decided, "table_version": store.open(TABLE).version}


def _decide(
    store: TableStore, claim: str, marts: dossiers.Marts, versions: Mapping[str, int]
) -> bool:
    dossier = dossiers.build(claim, marts)
    digest = facts_digest(dossier)
    handle = store.open(TABLE)
    mark = f"decision/{claim}/{digest}"
    if handle.mark(mark) is not None:
        return False
    decision = decide(dossier, clock.today())
    row = _row(decision, digest, versions)
    try:
        handle.append(row, {mark: 1}, {"claim": claim, "facts": digest})
    except ConflictError:
        # Another run decides at the same moment; the facts still wait if it was another claim.
        return _decide(store, claim, marts, versions)
    return True


def _row(decision: Decision, digest: str, versions: Mapping[str, int]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "claim_id": decision.claim_id,
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


def decisions(store: TableStore) -> list[Mapping[str, object]]:
    """List the newest decision of each claim."""
    if not store.exists(TABLE):
        return []
    rows = store.open(TABLE).dataset().to_table().sort_by("decided_at").to_pylist()
    newest: dict[str, Mapping[str, object]] = {str(row["claim_id"]): row for row in rows}
    return [newest[claim] for claim in sorted(newest)]


def decided_day(row: Mapping[str, object]) -> date:
    """Read the day as of which a decision was made."""
    day = row["decided_on"]
    if not isinstance(day, date):
        raise TypeError(day)
    return day

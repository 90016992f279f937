"""Claims: each decision line by line, with its evidence and its pack."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

import pyarrow.compute as pc
from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, Response

from kernel import canonical
from kernel.money import NOTHING, round_fen
from pipeline import dossier as dossiers
from pipeline import promises, wiring
from pipeline.assess import TABLE, Row, decisions, newest_decision
from pipeline.seal import pack_path
from pipeline.settings import Settings
from policy.decision import Result
from portal.access import NotFoundError, enterprise_filter, only
from portal.view import render
from registry.kinds import Role
from registry.people import User
from warehouse import ledger
from warehouse.store import TableStore

_FILED = "mart__claim_project"
router = APIRouter()
Reader = Annotated[User, Depends(only(Role.PLATFORM, Role.FACTORY, Role.AUDITOR, Role.LEADER))]


@router.get("/claims")
def claims(request: Request, user: Reader) -> Response:
    """List the decisions that the reader may see."""
    settings = request.app.state.settings
    found = _visible(request, user)
    titles = _texts(wiring.store(settings), _FILED, "title")
    names = _enterprises(settings)
    rows = [
        {
            **row,
            "name": names.get(str(row["enterprise"]), row["enterprise"]),
            "title": titles.get((row["claim_id"],), row["project_id"]),
        }
        for row in sorted(found, key=lambda row: str(row["decided_on"]), reverse=True)
    ]
    values = {
        "user": user,
        "rows": rows,
        "waiting": _waiting(request, user),
        "outcomes": Counter(str(row["outcome"]) for row in found),
        "granted": sum(
            (Decimal(str(r["amount_cny"])) for r in found if r["outcome"] == Result.GRANTED),
            NOTHING,
        ),
    }
    return render(request, "claims", values)


@router.get("/claims/{claim}")
def one_claim(request: Request, user: Reader, claim: str) -> Response:
    """Show one decision whole."""
    row = _find(request, user, claim)
    settings = request.app.state.settings
    store = wiring.store(settings)
    text = row["decision"]
    decision = canonical.loads(text if isinstance(text, bytes) else b"")
    titles = _texts(store, _FILED, "title", claim)
    values = {
        "user": user,
        "row": row,
        "decision": decision,
        "earned": _earned(decision),
        "title": titles.get((claim,), row["project_id"]),
        "name": _enterprises(settings).get(str(row["enterprise"]), row["enterprise"]),
        "items": _texts(store, "mart__claim_line", "item_text", claim),
        "sealed": _entry(settings, row),
    }
    return render(request, "claim", values)


@router.get("/claims/{claim}/pack")
def pack(request: Request, user: Reader, claim: str) -> Response:
    """Hand out the evidence pack."""
    row = _find(request, user, claim)
    settings = request.app.state.settings
    if _entry(settings, row) is None:
        raise NotFoundError
    path = pack_path(settings, row)
    return FileResponse(path, media_type="application/zip", filename=path.name)


def _visible(request: Request, user: User) -> list[Row]:
    mine = enterprise_filter(user)
    rows = decisions(wiring.store(request.app.state.settings))
    return [row for row in rows if mine is None or row["enterprise"] == mine]


def _waiting(request: Request, user: User) -> list[str]:
    """Say which broken promises keep claims of whom the reader may see waiting."""
    mine = enterprise_filter(user)
    store = wiring.store(request.app.state.settings)
    broken = promises.holding(store, dossiers.contracts())
    if mine is not None:
        claims = _filed(store, mine)
        broken = [each for each in broken if any(promises.concerns(each, c) for c in claims)]
    return [promises.worded(each) for each in broken]


def _filed(store: TableStore, enterprise: str) -> list[Row]:
    """Name an enterprise's claims and their projects; and itself, which may have none yet."""
    found: list[Row] = [{"enterprise_uscc": enterprise, "project_id": None, "claim_id": None}]
    if store.exists(_FILED):
        mine = pc.field("enterprise_uscc") == enterprise
        found += store.open(_FILED).dataset().to_table(list(found[0]), filter=mine).to_pylist()
    return found


def _find(request: Request, user: User, claim: str) -> Row:
    store = wiring.store(request.app.state.settings)
    row = newest_decision(store.open(TABLE), claim) if store.exists(TABLE) else None
    mine = enterprise_filter(user)
    if row is None or (mine is not None and row["enterprise"] != mine):
        raise NotFoundError
    return row


def _entry(settings: Settings, row: Row) -> Mapping[str, object] | None:
    """Find the ledger's entry of a decision whose pack is at hand."""
    if not pack_path(settings, row).exists():
        return None
    entries = ledger.entries(wiring.store(settings))
    return next((e for e in entries if e["decision_digest"] == row["decision_digest"]), None)


def _enterprises(settings: Settings) -> dict[str, str]:
    return {str(each.uscc): each.name for each in wiring.enterprises(settings).values()}


def _earned(decision: object) -> Decimal:
    """Give rate times spending, to be shown beside what other rules left of it."""
    if not isinstance(decision, dict):
        return NOTHING
    return round_fen(Decimal(decision["rate"]) * Decimal(decision["eligible_cny"]))


def _texts(
    store: TableStore, table: str, column: str, claim: str | None = None
) -> dict[tuple[object, ...], str]:
    """Read what the claimants call their projects and lines, by the table's key."""
    if not store.exists(table):
        return {}
    key = ["claim_id", *(["line_no"] if table == "mart__claim_line" else [])]
    wanted = None if claim is None else pc.field("claim_id") == claim
    rows = store.open(table).dataset().to_table([*key, column], filter=wanted).to_pylist()
    return {tuple(row[name] for name in key): str(row[column]) for row in rows}

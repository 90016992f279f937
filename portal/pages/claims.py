"""Claims: each decision line by line, with its evidence and its pack."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, Response

from kernel import canonical
from pipeline import wiring
from pipeline.assess import Row, decisions
from pipeline.seal import pack_path
from portal.access import ForbiddenError, enterprise_filter, only
from portal.view import render
from registry.people import User
from warehouse import ledger

router = APIRouter()
Reader = Annotated[User, Depends(only("platform", "factory", "auditor", "leader"))]


def _visible(request: Request, user: User) -> list[Row]:
    mine = enterprise_filter(user)
    rows = decisions(wiring.store(request.app.state.settings))
    return [row for row in rows if mine is None or row["enterprise"] == mine]


def _find(request: Request, user: User, claim: str) -> Row:
    for row in _visible(request, user):
        if row["claim_id"] == claim:
            return row
    # The same answer for a claim of somebody else and for none: neither is the reader's.
    raise ForbiddenError


@router.get("/claims")
def claims(request: Request, user: Reader) -> Response:
    """List the decisions that the reader may see."""
    names = {
        str(each.uscc): each.name
        for each in wiring.enterprises(request.app.state.settings).values()
    }
    rows = [
        {**row, "name": names.get(str(row["enterprise"]), row["enterprise"])}
        for row in _visible(request, user)
    ]
    return render(request, "claims", {"user": user, "rows": rows})


@router.get("/claims/{claim}")
def one_claim(request: Request, user: Reader, claim: str) -> Response:
    """Show one decision whole."""
    row = _find(request, user, claim)
    settings = request.app.state.settings
    decision = row["decision"]
    entries = ledger.entries(wiring.store(settings))
    sealed = [each for each in entries if each["decision_digest"] == row["decision_digest"]]
    values = {
        "user": user,
        "row": row,
        "decision": canonical.loads(decision if isinstance(decision, bytes) else b"{}"),
        "sealed": sealed[0] if sealed and pack_path(settings, row).exists() else None,
    }
    return render(request, "claim", values)


@router.get("/claims/{claim}/pack")
def pack(request: Request, user: Reader, claim: str) -> Response:
    """Hand out the evidence pack."""
    row = _find(request, user, claim)
    path = pack_path(request.app.state.settings, row)
    if not path.exists():
        raise ForbiddenError
    return FileResponse(path, media_type="application/zip", filename=path.name)

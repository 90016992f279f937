"""Streams: is every row accounted for, how far behind, when last seen."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from pipeline.doctor import examine
from portal.access import enterprise_filter, only
from portal.view import render
from registry.people import User

router = APIRouter()
Reader = Annotated[User, Depends(only("platform", "factory", "auditor"))]


@router.get("/streams")
def streams(request: Request, user: Reader) -> Response:
    """Show the equation of each stream that the reader may see."""
    health = examine(request.app.state.settings)
    mine = enterprise_filter(user)
    shown = [each for each in health.streams if mine is None or each.stream.startswith(f"{mine}/")]
    # Findings name streams of anybody, so only those who see all streams see them.
    findings = health.findings if mine is None else ()
    values = {"user": user, "streams": shown, "lag": health.lag, "findings": findings}
    part = "streams_table" if request.headers.get("hx-request") else "streams"
    return render(request, part, values)

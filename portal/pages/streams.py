"""Streams: is every row accounted for, how far behind, when last seen."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from pipeline import wiring
from pipeline.findings import Finding, StreamHealth
from portal.access import enterprise_filter, only
from portal.view import render
from registry.kinds import Role
from registry.people import User

router = APIRouter()
Reader = Annotated[User, Depends(only(Role.PLATFORM, Role.FACTORY, Role.AUDITOR))]
# A stream is named enterprise/agent/source/contract; a refused record may claim any name.
_PARTS = 4


@dataclass(frozen=True, slots=True)
class Shown:
    """A stream with the names of its parts."""

    health: StreamHealth
    enterprise: str
    name: str
    agent: str
    source: str

    @property
    def is_well(self) -> bool:
        """Tell whether every row and every number is accounted for."""
        return self.health.is_balanced and not self.health.holes


@router.get("/streams")
def streams(request: Request, user: Reader) -> Response:
    """Show the equation of each stream that the reader may see."""
    look = request.app.state.examined.look()
    mine = enterprise_filter(user)
    seen = [each for each in look.health.streams if mine is None or _owner(each.stream) == mine]
    names = {
        str(each.uscc): each.name
        for each in wiring.enterprises(request.app.state.settings).values()
    }
    values = {
        "user": user,
        "streams": [_shown(each, names) for each in seen],
        # Lag and the other findings are of whole topics, so of everybody's streams.
        "sees_all": mine is None,
        "lag": look.health.lag,
        "findings": [each for each in look.health.found if not _is_shown(each, seen)],
        "notices": look.health.notices,
        "at": look.at,
    }
    part = "streams_table" if request.headers.get("hx-request") else "streams"
    return render(request, part, values)


def _owner(stream: str) -> str:
    return stream.split("/", 1)[0]


def _shown(health: StreamHealth, names: dict[str, str]) -> Shown:
    parts = health.stream.split("/")
    enterprise, agent, source, _ = parts if len(parts) == _PARTS else (health.stream, "–", "–", "")
    return Shown(health, enterprise, names.get(enterprise, enterprise or "–"), agent, source)


def _is_shown(finding: Finding, streams: list[StreamHealth]) -> bool:
    """Tell whether the table says it already, in the reader's language."""
    return any(finding.what.startswith(f"{each.stream}: ") for each in streams)

"""Quarantine: refused rows as they were sent, with every reason."""

from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from pipeline import wiring
from portal.access import enterprise_filter, only
from portal.view import render
from registry.people import User
from warehouse import attempts, quarantine

router = APIRouter()
Reader = Annotated[User, Depends(only("platform", "factory", "auditor"))]
_MOST = 200
_RAW_BYTES = 2000


@router.get("/quarantine")
def refused_rows(request: Request, user: Reader) -> Response:
    """Show the newest refused rows that the reader may see."""
    store = wiring.store(request.app.state.settings)
    rows = attempts.visible(store, quarantine.QUARANTINE, quarantine.SCHEMA)
    mine = enterprise_filter(user)
    if mine is not None:
        rows = rows.filter(pc.equal(rows["enterprise"], mine))
    newest = rows.sort_by([("first_seen_at", "descending"), ("offset", "descending")])
    values = {
        "user": user,
        "count": rows.num_rows,
        "most": _MOST,
        "rows": [_shown(row) for row in newest.slice(0, _MOST).to_pylist()],
        "by_reason": _by_reason(rows),
    }
    return render(request, "quarantine", values)


def _shown(row: dict[str, object]) -> dict[str, object]:
    raw = row["raw"]
    text = raw[:_RAW_BYTES].decode("utf-8", "replace") if isinstance(raw, bytes) else ""
    return {**row, "raw": text}


def _by_reason(rows: pa.Table) -> list[tuple[str, int]]:
    counts = pc.value_counts(pc.list_flatten(rows["reasons"].combine_chunks())).to_pylist()
    found = [(str(each["values"]), int(each["counts"])) for each in counts]
    return sorted(found, key=lambda each: (-each[1], each[0]))

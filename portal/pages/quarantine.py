"""Quarantine: refused rows as they were sent, with every reason."""

import codecs
from collections import Counter
from collections.abc import Mapping
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from kernel import canonical
from pipeline import wiring
from portal.access import enterprise_filter, only
from portal.view import render
from registry.kinds import Role
from registry.people import User
from warehouse import attempts, quarantine
from warehouse.store import TableHandle, TableStore

router = APIRouter()
Reader = Annotated[User, Depends(only(Role.PLATFORM, Role.FACTORY, Role.AUDITOR))]
_MOST = 100
_RAW_BYTES = 2000
_PLACE = ("topic", "partition", "offset", "row")


@router.get("/quarantine")
def refused_rows(request: Request, user: Reader, reason: str = "") -> Response:
    """Show the newest refused rows that the reader may see, of one reason if asked."""
    store = wiring.store(request.app.state.settings)
    rows, by_reason, chosen = [], list[tuple[str, str, int]](), 0
    if store.exists(quarantine.QUARANTINE):
        handle = store.open(quarantine.QUARANTINE)
        visible = _visible(store, enterprise_filter(user))
        # Reasons of all rows; the rows themselves, which may be large, only of those shown.
        columns = [*_PLACE, "contract", "reasons", "first_seen_at"]
        light = handle.dataset().to_table(columns, filter=visible)
        by_reason = _by_reason(light)
        light = _of_reason(light, reason)
        chosen = light.num_rows
        newest = light.sort_by([("first_seen_at", "descending"), ("offset", "descending")])
        rows = [_shown(row) for row in _whole(handle, visible, newest.slice(0, _MOST))]
    values = {
        "user": user,
        "chosen": chosen,
        "reason_chosen": reason,
        "rows": rows,
        "by_reason": by_reason,
    }
    return render(request, "quarantine", values)


def _visible(store: TableStore, mine: str | None) -> pc.Expression:
    """Ask for the rows that exist, and of those for the reader's own."""
    decided = pc.field("attempt").isin(pa.array(sorted(attempts.decided(store)), pa.string()))
    landed = pc.field("id").isin(pa.array(sorted(attempts.replayed(store)), pa.string()))
    held = decided & ~landed
    return held if mine is None else held & (pc.field("enterprise") == mine)


def _by_reason(rows: pa.Table) -> list[tuple[str, str, int]]:
    """Count the reasons, each with a contract in which its column has a title."""
    counts = Counter(pc.list_flatten(rows["reasons"]).to_pylist())
    contracts = rows["contract"].take(pc.list_parent_indices(rows["reasons"])).to_pylist()
    of = dict(zip(pc.list_flatten(rows["reasons"]).to_pylist(), contracts, strict=True))
    return [(code, of[code], n) for code, n in sorted(counts.items(), key=lambda e: (-e[1], e[0]))]


def _of_reason(rows: pa.Table, reason: str) -> pa.Table:
    if not reason:
        return rows
    wanted = [reason in (each or ()) for each in rows["reasons"].to_pylist()]
    return rows.filter(pa.array(wanted, pa.bool_()))


def _whole(
    handle: TableHandle, visible: pc.Expression, newest: pa.Table
) -> list[Mapping[str, object]]:
    """Read the rows at these places, in their order."""
    offsets = pc.field("offset").isin(newest["offset"].combine_chunks())
    topics = pc.field("topic").isin(newest["topic"].combine_chunks())
    columns = ["contract", "business_key", "reasons", "raw", "first_seen_at", *_PLACE]
    found = handle.dataset().to_table(columns, filter=visible & topics & offsets).to_pylist()
    by_place = {tuple(row[name] for name in _PLACE): row for row in found}
    return [by_place[tuple(at[name] for name in _PLACE)] for at in newest.to_pylist()]


def _shown(row: Mapping[str, object]) -> Mapping[str, object]:
    raw = row["raw"] if isinstance(row["raw"], bytes) else b""
    key = canonical.loads(str(row["business_key"])) if row["business_key"] else {}
    return {
        **row,
        "raw": _text(raw[:_RAW_BYTES]),
        "left_out": max(len(raw) - _RAW_BYTES, 0),
        "key": key if isinstance(key, dict) else {},
    }


def _text(raw: bytes) -> str:
    """Show bytes as the text that they are, or as numbers if they are none."""
    try:
        # The cut may go through a character.
        return codecs.getincrementaldecoder("utf-8")().decode(raw)
    except UnicodeDecodeError:
        return raw.hex(" ")

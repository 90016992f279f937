"""Which rows of a page are new, and which of them the next pass will meet again."""

import pyarrow as pa
import pyarrow.compute as pc

from connectors.comparing import digests
from connectors.cursor import REMEMBERED, Cursor, Moment, Window, before, moment
from connectors.sql.pages import Piece

# More than so many bytes are not worth keeping for each of many streams.
_FEW_BYTES = 64 << 10


class Digests:
    """Digests of rows; those told last are kept: a quiet source gives the same rows each time."""

    def __init__(self) -> None:
        self._rows, self._told = pa.table({}), list[str]()

    def of(self, rows: pa.Table) -> list[str]:
        """Tell rows apart by all that they hold."""
        if rows.equals(self._rows):
            return self._told
        told = digests(rows)
        if rows.nbytes <= _FEW_BYTES:
            self._rows, self._told = rows, told
        return told


def news(
    piece: Piece, updated: str, at: Cursor, window: Window, told_before: Digests
) -> tuple[pa.Table, dict[str, Moment]]:
    """Leave out what was seen in the pass before; name by digest what is to be remembered.

    The rows are in the order of their change. Only rows near the edge are looked at one by one: of
    a page behind which others are known to come, often none.
    """
    page = piece.rows
    if not page.num_rows:
        return page, {}
    newest = (piece.rest if piece.more else page).column(updated)[-1].as_py()
    asked = pc.indices_nonzero(_near_the_edge(page.column(updated), newest, at, window))
    if not len(asked):
        return page, {}
    seen: dict[str, Moment] = {}
    known: set[int] = set()
    near = page.take(asked)
    told = zip(
        asked.to_pylist(), told_before.of(near), near.column(updated).to_pylist(), strict=True
    )
    for place, digest, changed_at in told:
        seen[digest] = moment(changed_at, updated)
        if digest in at.seen:
            known.add(place)
    if not known:
        return page, seen
    return page.filter(pa.array([place not in known for place in range(page.num_rows)])), seen


def _near_the_edge(
    moments: pa.ChunkedArray, last: object, at: Cursor, window: Window
) -> pa.ChunkedArray:
    """Tell which rows were perhaps seen before, or will be met again."""
    asked = pc.is_null(moments)
    newest = moment(last, "a moment")
    try:
        if at.seen and at.newest is not None:
            met = pc.less_equal(moments, pa.scalar(at.newest, moments.type))
            asked = pc.or_(asked, pc.fill_null(met, fill_value=False))
        start = at.starts(newest, window)
        if at.crowded is not None and not before(at.crowded, start):
            # Only what is from the future is remembered then.
            start = window.now_as(newest)
        near = pc.greater_equal(moments, pa.scalar(start, moments.type))
        # More than are remembered need not be told apart: one too many tells that.
        behind = max(0, len(moments) - REMEMBERED - 1)
        near = pa.chunked_array([pa.nulls(behind, near.type), *near.slice(behind).chunks])
        asked = pc.or_(asked, pc.fill_null(near, fill_value=False))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        # The column changed its type on the way: what cannot be compared is looked at.
        return pa.chunked_array([pa.array([True] * len(moments))])
    return asked

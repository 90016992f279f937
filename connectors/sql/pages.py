"""Cuts an answer into pages that end between two places, so that the next can begin behind one."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from connectors.tables import together

_FEW = 8


def cut(
    asked: Iterator[pa.Table], ordered: Sequence[str], size: int
) -> Iterator[tuple[pa.Table, bool]]:
    """Cut an answer into pages, with whether more come; all but the last end between two places."""
    held = pa.table({})
    for table in asked:
        held = together([held, table])
        while held.num_rows > size and (end := end_of(held, ordered, size)):
            yield held.slice(0, end), True
            held = held.slice(end)
    yield held, False


def end_of(table: pa.Table, ordered: Sequence[str], size: int) -> int:
    """Find the last row, of so many, behind which another place begins; else the first one."""
    # Nearly always the very last one, so a few rows are looked at first.
    for back in (_FEW, size):
        start = max(0, size - back)
        if len(ends := _ends(table.slice(start, size + 1 - start), ordered)):
            return start + int(ends[-1].as_py())
    # More rows share one place than a page holds: nulls in the keys.
    ends = _ends(table, ordered)
    return int(ends[0].as_py()) if len(ends) else 0


def _ends(table: pa.Table, ordered: Sequence[str]) -> pa.Array:
    """List how many rows there are before each change of place."""
    changes = pa.array([False] * (table.num_rows - 1))
    for name in ordered:
        column = pc.fill_null(table.column(name).cast(pa.string()), "").combine_chunks()
        changes = pc.or_(changes, pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)))
    return pc.add(pc.indices_nonzero(changes), 1)

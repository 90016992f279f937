"""Cuts an answer into pages that end between two places, so that the next can begin behind one."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from connectors.tables import together

_FEW = 8
# A page of long texts has fewer rows: a few copies of it are held on its way.
PAGE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A page of an answer, and what is known already of the rows that come behind it."""

    rows: pa.Table
    rest: pa.Table

    @property
    def more(self) -> bool:
        """Tell whether any come."""
        return bool(self.rest.num_rows)


Pages = Generator[Piece]


class CrowdedError(Exception):
    """More rows share one place than a page holds."""


def cut(asked: Iterator[pa.Table], ordered: Sequence[str], size: int, *, strict: bool) -> Pages:
    """Cut an answer into pages; all but the last end between two places.

    A page is as large as it must be for that; a strict one is not.
    """
    held = pa.table({})
    for table in asked:
        held = together([held, table])
        while held.num_rows > (most := _fitting(held, size)):
            end = end_of(held, ordered, most)
            if not end:
                if strict:
                    raise CrowdedError
                break
            rest = held.slice(end)
            yield Piece(held.slice(0, end), rest)
            held = rest
    yield Piece(held, held.slice(held.num_rows))


def _fitting(table: pa.Table, size: int) -> int:
    """Tell how many rows make a page: so many, or fewer if they are long."""
    held: int = table.nbytes
    return size if held <= PAGE_BYTES else max(1, min(size, table.num_rows * PAGE_BYTES // held))


def end_of(table: pa.Table, ordered: Sequence[str], size: int) -> int:
    """Find the last row, of so many, behind which another place begins; else the first one."""
    if table.num_rows <= 1:
        return 0
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

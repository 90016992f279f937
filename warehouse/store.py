"""What the pipeline asks of table storage: append once, replace, read a version and the past."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.dataset as ds

# A commit's own facts: counts, offsets, digests; stored with it as JSON.
Facts = Mapping[str, object]


class ConflictError(Exception):
    """Another writer was quicker; look again and decide anew."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One version of a table and what was said when it was made."""

    version: int
    facts: Facts


class TableHandle(Protocol):
    """One table at one version: what is checked and what is written see the same snapshot."""

    @property
    def version(self) -> int:
        """Number of the version that this handle sees."""
        ...

    def mark(self, name: str) -> int | None:
        """Read a watermark that travels with the commits."""
        ...

    def append(self, rows: pa.Table, marks: Mapping[str, int], facts: Facts) -> int:
        """Add rows and advance watermarks in one commit; a racing writer gets ConflictError."""
        ...

    def replace(self, rows: pa.Table, facts: Facts) -> int:
        """Put these rows in the place of all others, in one commit."""
        ...

    def dataset(self) -> ds.Dataset:
        """Open the rows of this version without loading them."""
        ...

    def commits(self) -> Sequence[Commit]:
        """List the versions that carry facts of ours, oldest first."""
        ...


class TableStore(Protocol):
    """A place of tables."""

    def names(self) -> tuple[str, ...]:
        """List the tables that exist."""
        ...

    def exists(self, name: str) -> bool:
        """Tell whether a table exists."""
        ...

    def create(self, name: str, schema: pa.Schema, partition_by: Sequence[str] = ()) -> None:
        """Make a table if it does not exist; one that does gets the columns that it lacks."""
        ...

    def open(self, name: str, version: int | None = None) -> TableHandle:
        """Open a table at its newest or at a given version."""
        ...

"""What the pipeline asks of table storage: append once, replace, read a version and the past."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import pyarrow as pa
import pyarrow.dataset as ds

from kernel.errors import DependencyUnavailableError

_RETRIES = 5
Done = TypeVar("Done")
# A commit's own facts: counts, offsets, digests; stored with it as JSON.
Facts = Mapping[str, object]


class ConflictError(Exception):
    """Another writer was quicker; look again and decide anew."""


def tried(work: Callable[[], Done]) -> Done:
    """Do what ends in a commit; where another was quicker, see what is left to do."""
    for _ in range(_RETRIES):
        with suppress(ConflictError):
            return work()
    raise DependencyUnavailableError(
        f"Others who write the same table were quicker {_RETRIES} times.",
        cure="run again; what they wrote is written.",
    )


@dataclass(frozen=True, slots=True)
class Commit:
    """One version of a table and what was said when it was made."""

    version: int
    facts: Facts
    at: datetime


@dataclass(frozen=True, slots=True)
class Files:
    """How many files hold the rows of a version, and their bytes."""

    count: int
    bytes: int


class TableHandle(Protocol):
    """One table at one version: what is checked and what is written see the same snapshot."""

    @property
    def version(self) -> int:
        """Number of the version that this handle sees."""
        ...

    @property
    def made_at(self) -> datetime:
        """Tell when the table was made."""
        ...

    def mark(self, name: str) -> int | None:
        """Read a watermark that travels with the commits."""
        ...

    def append(self, rows: pa.Table, marks: Mapping[str, int], facts: Facts) -> None:
        """Add rows and advance watermarks in one commit; a racing writer gets ConflictError.

        The handle goes on to see what it saw: open the table again to see the commit.
        """
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

    def files(self) -> Files:
        """Count the files of this version."""
        ...

    def fence(self) -> None:
        """Stop whoever opened the table before and has not written yet: it gets ConflictError."""
        ...

    def compact(self, target_bytes: int) -> bool:
        """Merge small files behind a fence; tell whether there were any. Not for computed tables.

        A `replace` that comes meanwhile would not take away the merged rows.
        """
        ...

    def clear(self, column: str, values: Sequence[str], facts: Facts) -> int:
        """Remove the rows with these values, behind a fence; give how many."""
        ...

    def sweep(self, retention: timedelta, keep: Sequence[int]) -> int:
        """Remove the files that no version of that time, nor one to keep, needs; count them."""
        ...

    def checkpoint(self) -> bool:
        """Write the state of this version whole if opening has become slow; tell whether it had."""
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

"""What a database's log of changes says of one table, whichever database it is."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import pyarrow as pa
from pydantic import TypeAdapter

from connectors.base import Offer, Sample
from connectors.cursor import readable
from kernel.errors import ConfigurationError

Value = object
Row = Sequence[Value]
# A key's value with what it is, so that it can be compared as such again: int, text, hex.
Part = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CdcStream:
    """A table, and the columns that tell its rows apart."""

    table: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spot:
    """How far a table was followed: while it is read as a whole, behind which key; then its log."""

    # What the source keeps its log under for this stream, where it does so.
    slot: str
    # Up to here, the end of a transaction, all was given; nothing: not begun.
    log: str = ""
    # Changes of the transaction behind it that were given too.
    done: int = 0
    # The keys of the last row read of the table; none yet: empty; no more to read: nothing.
    place: tuple[Part, ...] | None = ()
    # What must be as it was for the log to go on where it stood.
    mark: str = ""
    # The columns as they last were, by name and type.
    columns: dict[str, str] = field(default_factory=dict)
    at: datetime | None = None

    def anew(self) -> "Spot":
        """Begin with the whole table again."""
        return Spot(self.slot, at=self.at)

    def behind(self, place: tuple[Part, ...] | None) -> "Spot":
        """Go on behind a row of the table; nothing: behind all of them."""
        return replace(self, place=place)


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of the changes that follow, by name and by what the source calls their types."""

    columns: dict[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """A row as it became, and as it was before as far as the log says; no row: it is deleted."""

    row: Row | None
    before: Row | None
    size: int


@dataclass(frozen=True, slots=True)
class Emptied:
    """Rows went, or changed, and the log does not say which."""

    what: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Commit:
    """All up to here was said."""

    log: str
    at: datetime
    mark: str = ""
    # The source has nothing to say for a moment: what it passed is made safe, then confirmed.
    is_pause: bool = False


Event = Shape | Change | Emptied | Commit


class LostError(Exception):
    """The log does not reach back to where it was last read."""


class Door(Protocol):
    """A database while one pass over one of its tables lasts."""

    def claim(self) -> None:
        """Refuse to take what somebody else holds at the source."""
        ...

    def leave(self) -> None:
        """Let the source forget the log that it keeps under the stream's name."""
        ...

    def begin(self, spot: Spot) -> Spot:
        """Hold the log from now on, and the table as it is now."""
        ...

    def rows(self, place: Sequence[Part], size: int) -> Iterator[tuple[pa.Table, tuple[Part, ...]]]:
        """Read the table behind a place, with the place behind each part of it."""
        ...

    def changes(self, spot: Spot) -> Generator[Event]:
        """Read the log up to where it reaches now."""
        ...

    def confirm(self, spot: Spot) -> None:
        """Let the source forget what is safe."""
        ...

    def table(self, columns: dict[str, str], rows: Sequence[Row]) -> pa.Table:
        """Give rows in the types in which `rows` gives them."""
        ...


class Log(Protocol):
    """A kind of database that has such a log."""

    # What its libraries raise.
    errors: tuple[type[Exception], ...]

    def open(self, stream: CdcStream, slot: str) -> AbstractContextManager[Door]:
        """Get ready for a pass."""
        ...

    def sample(self, stream: CdcStream, slot: str) -> Sample:
        """Read a few rows; say what is missing for following the table."""
        ...

    def offers(self) -> Iterator[Offer]:
        """List the tables."""
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...


_SPOT = TypeAdapter(Spot)


def dumps(spot: Spot) -> str:
    """Write a cursor as text for the outbox."""
    return _SPOT.dump_json(spot).decode()


def loads(text: str) -> Spot:
    """Read a cursor."""
    with readable("it then reads the table from the beginning"):
        return _SPOT.validate_json(text)


def require(wrong: Sequence[tuple[str, str]], where: str) -> None:
    """Complain of all that is missing at once, with what to run at the source."""
    if wrong:
        raise ConfigurationError(
            " ".join(what for what, _ in wrong),
            where=where,
            cure=" ".join(["let the source's administrator run:", *(cure for _, cure in wrong)]),
        )

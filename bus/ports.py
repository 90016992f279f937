"""What the pipeline asks of a bus: at least once, ordered per key, read by position."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, Self

Headers = tuple[tuple[str, bytes], ...]
# Topic, partition and offset.
Place = tuple[str, int, int]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Record:
    """What a producer hands to the bus."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers


class Received(NamedTuple):
    """What a reader gets from the bus; a null value is a tombstone."""

    topic: str
    partition: int
    offset: int
    # Since 1970, as the broker tells it; an instant of Python's costs more than all else here.
    broker_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    # Its bytes: what a writer puts into headers and key takes room as well.
    size: int

    @classmethod
    def of(
        cls,
        place: Place,
        broker_at: datetime,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
    ) -> Self:
        """Give what was read before."""
        size = len(value or b"") + len(key or b"") + size_of(headers)
        return cls(*place, (broker_at - _EPOCH) // _MILLISECOND, key, value, headers, size)

    @property
    def broker_at(self) -> datetime:
        """Tell when the broker took it."""
        return _EPOCH + timedelta(milliseconds=self.broker_ms)

    @property
    def place(self) -> Place:
        """Tell where on the bus it is."""
        return self[:3]


def size_of(headers: Headers) -> int:
    """Count the bytes of headers."""
    return sum(len(name) + len(value) for name, value in headers)


@dataclass(frozen=True, slots=True)
class Polled:
    """Records in order, and for each partition the position after them."""

    records: tuple[Received, ...]
    positions: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Extent:
    """A topic as the broker holds it: its id, which a topic made anew has not, and its offsets."""

    id: str
    # First and end offset of each partition.
    spans: Mapping[int, tuple[int, int]]


class Sender(Protocol):
    """Puts records on the bus."""

    def send(self, records: Sequence[Record]) -> tuple[str, ...]:
        """Deliver in order; give, per record, the error text, or nothing when acknowledged."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Reader(Protocol):
    """Reads one topic from given positions; no group, no commit: the tables hold the position."""

    def poll(self, seconds: float) -> Polled:
        """Take what arrives within that time."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Source(Protocol):
    """Where records are read from."""

    def extents(self, topics: Sequence[str]) -> Mapping[str, Extent]:
        """Tell how far each of the topics that exist reaches."""
        ...

    def id_of(self, topic: str) -> str:
        """Tell the id of a topic as it is now; nothing if there is none."""
        ...

    def reader(self, topic: str, positions: Mapping[int, int]) -> Reader:
        """Open a topic at the next offset to read of each partition."""
        ...


class Bus(Source, Protocol):
    """A bus as a whole."""

    def ensure_topics(self, topics: Sequence[str]) -> None:
        """Create the topics that are missing."""
        ...

    def topics(self) -> Sequence[str]:
        """List the topics that bear our prefix, whoever made them."""
        ...

    def timed_by_producers(self, topics: Sequence[str]) -> Sequence[str]:
        """List those of the topics that exist whose records may bear a time of their sender's."""
        ...

    def sender(self) -> Sender:
        """Open the bus for sending."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...

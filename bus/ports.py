"""What the pipeline asks of a bus: at least once, ordered per key, read by position."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, Protocol, Self

from kernel.skew import Clock

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


def instant(milliseconds: int) -> datetime:
    """Tell the instant so many milliseconds after 1970."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


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
        return cls(*place, (broker_at - _EPOCH) // _MILLISECOND, key, value, headers)

    @property
    def broker_at(self) -> datetime:
        """Tell when the broker took it."""
        return instant(self.broker_ms)

    @property
    def place(self) -> Place:
        """Tell where on the bus it is."""
        return self[:3]


@dataclass(frozen=True, slots=True)
class Run:
    """Records one after the other of a partition, with one key and the same headers.

    Most senders say the same again and again: it is looked at once for all of them.
    """

    topic: str
    partition: int
    key: bytes | None
    headers: Headers
    # What a writer puts into headers and key takes room as well.
    head_size: int
    # Of each record.
    offsets: Sequence[int]
    broker_ms: Sequence[int]
    values: Sequence[bytes | None]

    def __len__(self) -> int:
        return len(self.offsets)

    def part(self, first: int, end: int | None = None) -> "Run":
        """Give some of its records."""
        said = self.topic, self.partition, self.key, self.headers, self.head_size
        span = slice(first, end)
        return Run(*said, self.offsets[span], self.broker_ms[span], self.values[span])

    def at(self, place: int) -> Received:
        """Give one of its records."""
        told = self.offsets[place], self.broker_ms[place], self.key, self.values[place]
        return Received(self.topic, self.partition, *told, self.headers)

    def __iter__(self) -> Iterator[Received]:
        return map(self.at, range(len(self)))

    def alone(self) -> Iterator["Run"]:
        """Give each of its records as a run of its own."""
        return (self.part(at, at + 1) for at in range(len(self)))

    @property
    def sizes(self) -> list[int]:
        """Count the bytes of each."""
        return [self.head_size + len(value or b"") for value in self.values]


def size_of(key: bytes | None, headers: Headers) -> int:
    """Count the bytes of a key and headers."""
    return len(key or b"") + sum(len(name) + len(text) for name, text in headers)


_SAID = attrgetter("topic", "partition", "key", "headers")


def runs_of(records: Iterable[Received]) -> tuple[Run, ...]:
    """Join records, in their order, to runs."""
    return tuple(
        Run(
            *said,
            size_of(*said[2:]),
            *zip(*((each.offset, each.broker_ms, each.value) for each in some), strict=True),
        )
        for said, some in groupby(records, _SAID)
    )


@dataclass(frozen=True, slots=True)
class Polled:
    """Records in order, and for each partition the position after them."""

    runs: tuple[Run, ...]
    positions: Mapping[int, int]

    @property
    def records(self) -> tuple[Received, ...]:
        """Give each record by itself."""
        return tuple(each for run in self.runs for each in run)


@dataclass(frozen=True, slots=True)
class Extent:
    """A topic as the broker holds it: its id, which a topic made anew has not, and its offsets."""

    id: str
    # First and end offset of each partition.
    spans: Mapping[int, tuple[int, int]]


class Sender(Protocol):
    """Puts records on the bus."""

    # The clock there, as far as what was sent last tells.
    clock: Clock | None = None

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


class WayOut(Protocol):
    """What opens for sending."""

    def sender(self) -> Sender:
        """Open it for sending."""
        ...


class Bus(Source, WayOut, Protocol):
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

    def close(self) -> None:
        """Let go of the connection."""
        ...

"""The reference bus: what Kafka does, in one process and in the memory."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from bus.ports import Extent, Polled, Reader, Received, Record, Sender, runs_of
from bus.topics import PREFIX
from kernel import clock
from kernel.errors import DependencyUnavailableError

_START = datetime(2024, 1, 1, tzinfo=UTC)
_WORD = 0xFFFFFFFF
_MIX = 0x5BD1E995
_SEED = 0x9747B28C
_WORD_BYTES = 4
_SIGN = 0x7FFFFFFF


def murmur2(data: bytes) -> int:
    """Hash a key as every Kafka client does, so that a stream keeps its partition."""
    whole = len(data) & ~3
    value = (_SEED ^ len(data)) & _WORD
    for at in range(0, whole, _WORD_BYTES):
        word = (int.from_bytes(data[at : at + _WORD_BYTES], "little") * _MIX) & _WORD
        word = ((word ^ (word >> 24)) * _MIX) & _WORD
        value = ((value * _MIX) & _WORD) ^ word
    if rest := data[whole:]:
        value = ((value ^ int.from_bytes(rest, "little")) * _MIX) & _WORD
    value = ((value ^ (value >> 13)) * _MIX) & _WORD
    return value ^ (value >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """Choose the partition of a key."""
    return (murmur2(key) & _SIGN) % partitions


class MemoryBus:
    """A bus without a broker; each record is a millisecond later than the one before."""

    def __init__(self, partitions: int = 2) -> None:
        self._partitions = partitions
        self._topics: dict[str, list[list[Received]]] = {}
        self._ids: dict[str, str] = {}
        self._firsts: dict[tuple[str, int], int] = {}
        self._count = 0
        # The topics that others made so that their senders choose the time.
        self.by_producers: set[str] = set()

    def ensure_topics(self, topics: Sequence[str]) -> None:
        """Create the topics that are missing."""
        for topic in topics:
            if topic not in self._topics:
                self._topics[topic] = [[] for _ in range(self._partitions)]
                self._ids[topic] = secrets.token_hex(8)

    def topics(self) -> Sequence[str]:
        """List the topics that bear our prefix, whoever made them."""
        return sorted(each for each in self._topics if each.startswith(PREFIX))

    def timed_by_producers(self, topics: Sequence[str]) -> Sequence[str]:
        """List those of the topics that exist whose records may bear a time of their sender's."""
        return sorted(self.by_producers & set(topics) & set(self._topics))

    def drop_topic(self, topic: str) -> None:
        """Forget a topic and all that it held."""
        del self._topics[topic], self._ids[topic]

    def expire(self, topic: str, partition: int, first: int) -> None:
        """Forget the records before an offset, as retention does."""
        self._firsts[self._ids[topic], partition] = first

    def add_partition(self, topic: str) -> None:
        """Give a topic one partition more."""
        self._topics[topic].append([])

    def first_of(self, topic: str, partition: int) -> int:
        """Tell the first offset that can still be read."""
        return self._firsts.get((self._ids[topic], partition), 0)

    def extents(self, topics: Sequence[str]) -> Mapping[str, Extent]:
        """Tell how far each of the topics that exist reaches."""
        return {
            topic: Extent(
                self._ids[topic],
                {
                    at: (self.first_of(topic, at), len(log))
                    for at, log in enumerate(self._topics[topic])
                },
            )
            for topic in topics
            if topic in self._topics
        }

    def id_of(self, topic: str) -> str:
        """Tell the id of a topic as it is now; nothing if there is none."""
        return self._ids.get(topic, "")

    def close(self) -> None:
        """Have nothing to let go of."""

    def log_of(self, topic: str, partition: int) -> list[Received]:
        """Give a partition's records."""
        logs = self._topics.get(topic, [])
        if partition not in range(len(logs)):
            raise DependencyUnavailableError(
                "The topic or a partition of it is not on the broker.",
                where=f"{topic} partition {partition}",
                cure="create the topic.",
            )
        return logs[partition]

    def append(self, record: Record) -> str:
        """Keep a record; give what is wrong, or nothing."""
        if record.topic not in self._topics:
            return "UnknownTopicOrPartitionError"
        at = partition_of(record.key, len(self._topics[record.topic]))
        log = self._topics[record.topic][at]
        self._count += 1
        log.append(
            Received.of(
                (record.topic, at, len(log)),
                _START + timedelta(milliseconds=self._count),
                record.key,
                record.value,
                record.headers,
            )
        )
        return ""

    def reader(self, topic: str, positions: Mapping[int, int]) -> Reader:
        """Open a topic at the next offset to read of each partition."""
        return _MemoryReader(self, topic, positions)

    def sender(self) -> Sender:
        """Open the bus for sending."""
        return _MemorySender(self)


class _MemorySender(Sender):
    """Appends at once."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    @override
    def send(self, records: Sequence[Record]) -> tuple[str, ...]:
        return tuple(self._bus.append(record) for record in records)

    @override
    def close(self) -> None:
        return


class _MemoryReader(Reader):
    """Reads what is there."""

    def __init__(self, bus: MemoryBus, topic: str, positions: Mapping[int, int]) -> None:
        self._bus, self._topic, self._positions = bus, topic, dict(positions)
        for partition in positions:
            bus.log_of(topic, partition)

    @override
    def poll(self, seconds: float) -> Polled:
        records: list[Received] = []
        for partition, position in self._positions.items():
            log = self._bus.log_of(self._topic, partition)
            if not self._bus.first_of(self._topic, partition) <= position <= len(log):
                raise DependencyUnavailableError(
                    "Kafka cannot read on: the position is out of range.",
                    where=f"{self._topic} partition {partition}, position {position}",
                )
            records += log[position:]
            self._positions[partition] = len(log)
        if not records:
            clock.sleep(min(seconds, 0.01))
        return Polled(runs_of(records), dict(self._positions))

    @override
    def close(self) -> None:
        return

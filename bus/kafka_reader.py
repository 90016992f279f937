"""Reads topics with librdkafka, which is nearly three times kafka-python on small records."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from bus.brokers import NOBODY, RECORD_BYTES, Login, unreachable
from bus.headers import HeaderReader
from bus.ports import Polled, Run, size_of
from kernel import clock
from kernel.errors import DependencyUnavailableError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError as ReadError
    from confluent_kafka import Message

# What one poll hands over at most, so that a backlog of large records cannot fill the memory.
_POLL_BYTES = 16 << 20
_POLL_RECORDS = 20_000
_PREFETCH_KIB = 32 << 10
_AT_ONCE = 500
_LAST_MILLISECOND = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp() * 1000)


class KafkaReader:
    """Reads one topic from given positions, committed records only, without a group."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        positions: Mapping[int, int],
        timeout: float,
        login: Login = NOBODY,
    ) -> None:
        # The edge install has no librdkafka, and it only sends.
        import confluent_kafka  # noqa: PLC0415

        self._library, self._bootstrap, self._topic = confluent_kafka, bootstrap, topic
        self._positions, self._at_end = dict(positions), set[int]()
        self._silent: ReadError | None = None
        self._headers = HeaderReader()
        self._consumer = confluent_kafka.Consumer(
            {
                **login.for_librdkafka(),
                "bootstrap.servers": bootstrap,
                "group.id": "nplusx-unused",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # A lost position is an error to be seen, never a jump.
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                # The end of a partition tells the position behind markers and compacted gaps.
                "enable.partition.eof": True,
                "allow.auto.create.topics": False,
                "fetch.message.max.bytes": RECORD_BYTES,
                "queued.max.messages.kbytes": _PREFETCH_KIB,
                # When that was full it would wait a second before it looks again.
                "fetch.queue.backoff.ms": 10,
                "socket.timeout.ms": max(1000, int(timeout * 1000)),
                "error_cb": self._note,
                "log_level": 0,
            }
        )
        self._check_topic(timeout)
        self._consumer.assign(
            [confluent_kafka.TopicPartition(topic, each, at) for each, at in positions.items()]
        )

    def _check_topic(self, timeout: float) -> None:
        """Refuse a broker that is silent and a topic or partition that is not there."""
        try:
            found = self._consumer.list_topics(self._topic, timeout=timeout).topics[self._topic]
        except self._library.KafkaException as down:
            self._consumer.close()
            raise unreachable(self._bootstrap, down.args[0].str()) from down
        missing = sorted(set(self._positions) - set(found.partitions))
        if found.error or missing:
            self._consumer.close()
            raise DependencyUnavailableError(
                "The topic or a partition of it is not on the broker.",
                where=f"{self._topic} partitions {missing}, {self._bootstrap}",
                cure="create the topic (the land stage does), or name the right broker in "
                "NPLUSX_KAFKA_BOOTSTRAP_SERVERS.",
            )

    def _note(self, error: "ReadError") -> None:
        if error.name() == "_ALL_BROKERS_DOWN":
            self._silent = error

    def poll(self, seconds: float) -> Polled:
        """Take what is there, or what arrives first within that time; less at the topic's end."""
        self._silent = None
        runs: list[Run] = []
        count, size, deadline = 0, 0, clock.monotonic() + seconds
        while size < _POLL_BYTES and count < _POLL_RECORDS:
            # That nothing more is there the broker says late: only the first is waited for.
            some = self._some(0.0 if runs else max(0.0, deadline - clock.monotonic()))
            count, size = count + len(some), size + self._take(some, runs)
            if not some or len(self._at_end) == len(self._positions):
                break
        if not runs:
            self._complain_of_silence()
        self._pass_gaps()
        return Polled(tuple(runs), dict(self._positions))

    def _complain_of_silence(self) -> None:
        if self._silent is not None:
            raise unreachable(self._bootstrap, self._silent.str())

    def _some(self, seconds: float) -> "list[Message]":
        first = self._consumer.poll(seconds)
        # Only of what was fetched already, which is bounded.
        return [] if first is None else [first, *self._consumer.consume(_AT_ONCE, timeout=0)]

    def _take(self, messages: "Sequence[Message]", runs: list[Run]) -> int:
        """Note how far partitions were read; add the records, and count their bytes."""
        positions, at_end, read = self._positions, self._at_end, self._headers
        first = len(runs)
        said: tuple[object, ...] = ()
        offsets, times, values = list[int](), list[int](), list[bytes | None]()
        for message in messages:
            partition, offset = message.partition(), message.offset()
            if (error := message.error()) is not None:
                self._note_end(error, partition, offset)
                continue
            if partition is None or offset is None:
                continue
            if at_end:
                at_end.discard(partition)
            positions[partition] = offset + 1
            _, at = message.timestamp()
            # Only a topic that others made lets senders choose the time; then any number may come.
            if not 0 <= at <= _LAST_MILLISECOND:
                at = min(max(at, 0), _LAST_MILLISECOND)
            key, headers = message.key(), read(message)
            if said != (said := (partition, key, headers)):
                offsets, times, values = [], [], []
                size = size_of(key, headers)
                runs.append(Run(self._topic, partition, key, headers, size, offsets, times, values))
            offsets.append(offset)
            times.append(at)
            values.append(message.value())
        return sum(sum(each.sizes) for each in runs[first:])

    def _note_end(self, error: "ReadError", partition: int | None, offset: int | None) -> None:
        if error.name() != "_PARTITION_EOF":
            self._refuse(error, partition)
        if partition is not None and offset is not None:
            self._at_end.add(partition)
            self._positions[partition] = max(self._positions[partition], offset)

    def _refuse(self, error: "ReadError", partition: int | None) -> NoReturn:
        at = None if partition is None else self._positions.get(partition)
        raise DependencyUnavailableError(
            f"Kafka cannot read on: {error.str()}.",
            where=f"{self._topic} partition {partition}, position {at}",
            cure="if the broker lost or expired records, `nplusx doctor` names the gap; "
            "nothing is skipped without a person's word.",
        )

    def _pass_gaps(self) -> None:
        """Move past transaction markers, for which no record arrives."""
        asked = [self._library.TopicPartition(self._topic, each) for each in self._positions]
        for found in self._consumer.position(asked):
            at = self._positions[found.partition]
            # Before the first record there is no position, which librdkafka writes as -1001.
            self._positions[found.partition] = max(at, found.offset)

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

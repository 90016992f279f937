"""The one door to Kafka: kafka-python for producing and administration, librdkafka for reading."""

import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn, TypeVar

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError
from kafka.protocol.consumer import IsolationLevel

from bus.ahead import Ahead
from bus.headers import HeaderReader
from bus.ports import Extent, Polled, Reader, Record, Run, Sender, size_of
from bus.topics import PREFIX
from kernel import clock
from kernel.errors import DependencyUnavailableError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError as ReadError
    from confluent_kafka import Message

# A body of 4 MiB, its headers and the framing of a batch of one.
RECORD_BYTES = (4 << 20) + (64 << 10)
# What one poll hands over at most, so that a backlog of large records cannot fill the memory.
_POLL_BYTES = 16 << 20
_POLL_RECORDS = 20_000
_PREFETCH_KIB = 32 << 10
_AT_ONCE = 500
_CLOCK, _BROKERS = "message.timestamp.type", "LogAppendTime"
_TOPIC = {
    "max.message.bytes": str(RECORD_BYTES),
    # The broker's time is evidence; the sender's own time travels in the headers.
    _CLOCK: _BROKERS,
    # A county that lands nothing for a month has lost more than time.
    "retention.ms": str(30 * 24 * 3600 * 1000),
}
# How long a record may wait for news of its topic: a missing one must not hold up the others.
_TOPIC_SECONDS = 5.0
_LAST_MILLISECOND = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp() * 1000)
_Answer = TypeVar("_Answer")


def _unreachable(bootstrap: str, why: object) -> DependencyUnavailableError:
    return DependencyUnavailableError(
        f"Kafka does not answer: {why}.",
        where=bootstrap,
        cure="start the broker, or correct NPLUSX_KAFKA_BOOTSTRAP_SERVERS.",
    )


def _knock(bootstrap: str, timeout: float) -> None:
    """Refuse at once when nobody listens; the clients would go on trying until the timeout."""
    why: object = "no address is given"
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout).close()
        except (OSError, ValueError) as failed:
            why = failed
        else:
            return
    raise _unreachable(bootstrap, why)


def _hush() -> None:
    """Silence the library's own log: what matters comes as an error with its cure."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # noqa: TID251 - the library's, not ours


class KafkaSender:
    """Sends in order per key: a record leaves only when the one before it is acknowledged."""

    def __init__(self, bootstrap: str, timeout: float) -> None:
        self._timeout = timeout
        milliseconds = int(timeout * 1000)
        _hush()
        _knock(bootstrap, timeout)
        try:
            self._producer = KafkaProducer(
                bootstrap_servers=bootstrap.split(","),
                bootstrap_timeout_ms=milliseconds,
                max_block_ms=int(min(timeout, _TOPIC_SECONDS) * 1000),
                request_timeout_ms=milliseconds,
                delivery_timeout_ms=milliseconds,
                enable_idempotence=True,
                acks="all",
                # The bodies are compressed already.
                compression_type=None,
                max_request_size=RECORD_BYTES,
                # A misspelt contract must not become a topic with a broker's defaults.
                allow_auto_create_topics=False,
            )
        except KafkaError as down:
            raise _unreachable(bootstrap, down) from down

    def send(self, records: Sequence[Record]) -> tuple[str, ...]:
        """Deliver in order; give, per record, the error text, or nothing when acknowledged."""
        outcome = ["an earlier record of its stream was not delivered"] * len(records)
        queues: dict[tuple[str, bytes], list[int]] = {}
        for index, record in enumerate(records):
            queues.setdefault((record.topic, record.key), []).append(index)
        # Were a key's next record in flight already, it could overtake one that must be retried.
        waiting = list(queues.values())
        while waiting:
            started = [(queue, self._start(records[queue[0]])) for queue in waiting]
            for queue, finish in started:
                outcome[queue[0]] = finish()
            waiting = [queue[1:] for queue in waiting if not outcome[queue[0]] and queue[1:]]
        return tuple(outcome)

    def _start(self, record: Record) -> Callable[[], str]:
        """Hand one record to the producer; give what waits for its acknowledgement."""
        try:
            future = self._producer.send(
                record.topic, record.value, record.key, list(record.headers)
            )
        except (KafkaError, ValueError, AssertionError) as refused:
            text = f"{type(refused).__name__}: {refused}"
            return lambda: text

        def finish() -> str:
            try:
                future.get(self._timeout)
            except KafkaError as failed:
                return f"{type(failed).__name__}: {failed}"
            return ""

        return finish

    def close(self) -> None:
        """Let go of the connection."""
        self._producer.close(timeout=self._timeout)


class KafkaReader:
    """Reads one topic from given positions, committed records only, without a group."""

    def __init__(
        self, bootstrap: str, topic: str, positions: Mapping[int, int], timeout: float
    ) -> None:
        # The edge install has no librdkafka, and it only sends.
        import confluent_kafka  # noqa: PLC0415

        self._library, self._bootstrap, self._topic = confluent_kafka, bootstrap, topic
        self._positions, self._at_end = dict(positions), set[int]()
        self._silent: ReadError | None = None
        self._headers = HeaderReader()
        self._consumer = confluent_kafka.Consumer(
            {
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
            raise _unreachable(self._bootstrap, down.args[0].str()) from down
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
            raise _unreachable(self._bootstrap, self._silent.str())

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


class KafkaBus:
    """Apache Kafka as a bus."""

    def __init__(self, bootstrap: str, partitions: int, replication: int, timeout: float) -> None:
        self.bootstrap, self._partitions = bootstrap, partitions
        self._replication, self._timeout = replication, timeout
        self._lock = threading.Lock()

    @cached_property
    def _admin(self) -> KafkaAdminClient:
        _hush()
        _knock(self.bootstrap, self._timeout)
        milliseconds = int(self._timeout * 1000)
        return KafkaAdminClient(
            bootstrap_servers=self.bootstrap.split(","),
            bootstrap_timeout_ms=milliseconds,
            request_timeout_ms=milliseconds,
        )

    def _ask(self, question: Callable[[KafkaAdminClient], _Answer]) -> _Answer:
        """Ask the broker; a connection that failed is not used again."""
        with self._lock:
            try:
                return question(self._admin)
            except KafkaError as failed:
                self._hang_up()
                raise _unreachable(self.bootstrap, f"{type(failed).__name__}: {failed}") from failed

    def _hang_up(self) -> None:
        if (admin := self.__dict__.pop("_admin", None)) is not None:
            admin.close()

    def ensure_topics(self, topics: Sequence[str]) -> None:
        """Create the topics that are missing."""
        self._ask(lambda admin: self._create(admin, topics))

    def _create(self, admin: KafkaAdminClient, topics: Sequence[str]) -> None:
        missing = sorted(set(topics) - set(admin.list_topics()))
        if not missing:
            return
        wanted = {
            "num_partitions": self._partitions,
            "replication_factor": self._replication,
            "configs": _TOPIC,
        }
        # Somebody else may make some in between; a request is judged topic by topic.
        with suppress(TopicAlreadyExistsError):
            admin.create_topics(dict.fromkeys(missing, wanted))
        admin.wait_for_topics(missing)

    def topics(self) -> Sequence[str]:
        """List the topics that bear our prefix, whoever made them."""
        return sorted(t for t in self._ask(lambda a: a.list_topics()) if t.startswith(PREFIX))

    def extents(self, topics: Sequence[str]) -> Mapping[str, Extent]:
        """Tell how far each of the topics that exist reaches."""
        return self._ask(lambda admin: self._extents(admin, topics))

    def _extents(self, admin: KafkaAdminClient, topics: Sequence[str]) -> dict[str, Extent]:
        there = sorted(set(topics) & set(admin.list_topics()))
        if not there:
            return {}
        described = admin.describe_topics(there)
        partitions = [
            TopicPartition(topic["name"], partition["partition_index"])
            for topic in described
            for partition in topic["partitions"]
        ]
        try:
            first, last = (
                admin.list_partition_offsets(
                    dict.fromkeys(partitions, spec),
                    # What an open transaction holds back cannot be read yet, so it is not lag.
                    isolation_level=IsolationLevel.READ_COMMITTED,
                )
                for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST)
            )
        except UnknownTopicOrPartitionError as gone:
            raise _unreachable(self.bootstrap, f"a topic went away: {gone}") from gone
        spans: dict[str, dict[int, tuple[int, int]]] = {topic: {} for topic in there}
        for each in partitions:
            spans[each.topic][each.partition] = (first[each].offset, last[each].offset)
        return {each["name"]: Extent(each["topic_id"], spans[each["name"]]) for each in described}

    def id_of(self, topic: str) -> str:
        """Tell the id of a topic as it is now; nothing if there is none."""
        (found,) = self._ask(lambda admin: admin.describe_topics([topic]))
        is_gone = found["error_code"] == UnknownTopicOrPartitionError.errno
        return "" if is_gone else str(found["topic_id"])

    def timed_by_producers(self, topics: Sequence[str]) -> Sequence[str]:
        """List those of the topics that exist whose records may bear a time of their sender's."""
        there = set(topics) & set(self.topics())
        asked = [ConfigResource("TOPIC", each, {_CLOCK: None}) for each in there]
        found = self._ask(lambda admin: admin.describe_configs(asked, config_filter="all"))
        ours = [t for t in there if found["topic"][t].get(_CLOCK, {}).get("value") == _BROKERS]
        return sorted(there.difference(ours))

    def reader(self, topic: str, positions: Mapping[int, int]) -> Reader:
        """Open a topic at the next offset to read of each partition."""
        return Ahead(KafkaReader(self.bootstrap, topic, positions, self._timeout))

    def sender(self) -> Sender:
        """Open the bus for sending."""
        return KafkaSender(self.bootstrap, self._timeout)

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._hang_up()

"""The one door to Kafka: kafka-python for producing and administration, librdkafka for reading."""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeVar

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    OffsetSpec,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from kafka.protocol.consumer import IsolationLevel
from typing_extensions import override

from bus.ahead import Ahead
from bus.brokers import NOBODY, RECORD_BYTES, Login, refused, unreachable
from bus.kafka_reader import KafkaReader
from bus.ports import Extent, Reader, Record, Sender
from bus.topics import PREFIX
from kernel import clock
from kernel.errors import ConfigurationError
from kernel.log import hush
from kernel.skew import Clock

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
_NO_TIME = -1
_Answer = TypeVar("_Answer")

hush("kafka")


def _knock(bootstrap: str, timeout: float, login: Login) -> None:
    """Refuse at once, and say why; the clients would go on trying until the timeout."""
    why: object = "no address is given"
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        host = host.strip("[]")
        try:
            with socket.create_connection((host, int(port)), timeout) as opened:
                if login.tls:
                    context = ssl.create_default_context(cafile=login.ca_file)
                    context.wrap_socket(opened, server_hostname=host).close()
        except ssl.SSLCertVerificationError as wrong:
            why = f"certificate: {wrong.verify_message}"
        except (OSError, ValueError) as failed:
            why = failed
        else:
            return
    raise unreachable(bootstrap, why)


def _why(failed: KafkaError, login: Login) -> str:
    """Guess what the library does not tell: it only says that it took too long."""
    said = f"{type(failed).__name__}: {failed}"
    if login.user and isinstance(failed, KafkaTimeoutError):
        return f"authentication failed, or it was too slow ({said})"
    return said


class KafkaSender(Sender):
    """Sends in order per key: a record leaves only when the one before it is acknowledged."""

    def __init__(self, bootstrap: str, timeout: float, login: Login = NOBODY) -> None:
        self._timeout = timeout
        milliseconds = int(timeout * 1000)
        _knock(bootstrap, timeout, login)
        try:
            self._producer = KafkaProducer(
                **login.for_kafka_python(),
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
            raise unreachable(bootstrap, _why(down, login)) from down

    @override
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
        asked = clock.now()
        stamp = int(asked.timestamp() * 1000)
        try:
            future = self._producer.send(
                record.topic, record.value, record.key, list(record.headers), timestamp_ms=stamp
            )
        except (KafkaError, ValueError, AssertionError) as odd:
            text = str(refused(record.topic, odd))
            return lambda: text

        def finish() -> str:
            try:
                told = future.get(self._timeout).timestamp
            except KafkaError as failed:
                return str(refused(record.topic, failed))
            # A topic whose producers choose the time gives ours back.
            if told not in (stamp, _NO_TIME):
                at = datetime.fromtimestamp(told / 1000, UTC)
                self.clock = Clock.between(asked, at, clock.now(), step_seconds=0.001)
            return ""

        return finish

    @override
    def close(self) -> None:
        """Let go of the connection."""
        self._producer.close(timeout=self._timeout)


class KafkaBus:
    """Apache Kafka as a bus."""

    def __init__(
        self,
        bootstrap: str,
        partitions: int,
        replication: int,
        timeout: float,
        login: Login = NOBODY,
    ) -> None:
        self.bootstrap, self._partitions, self._login = bootstrap, partitions, login
        self._replication, self._timeout = replication, timeout
        self._lock = threading.Lock()

    @cached_property
    def _admin(self) -> KafkaAdminClient:
        _knock(self.bootstrap, self._timeout, self._login)
        milliseconds = int(self._timeout * 1000)
        return KafkaAdminClient(
            **self._login.for_kafka_python(),
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
                raise unreachable(self.bootstrap, _why(failed, self._login)) from failed

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
            raise unreachable(self.bootstrap, f"a topic went away: {gone}") from gone
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
        return Ahead(KafkaReader(self.bootstrap, topic, positions, self._timeout, self._login))

    def sender(self) -> Sender:
        """Open the bus for sending."""
        return KafkaSender(self.bootstrap, self._timeout, self._login)

    def let_write(self, principal: str) -> None:
        """Let somebody write to our topics, and do nothing else; again is as good as once."""
        ours = ResourcePattern(ResourceType.TOPIC, PREFIX, ACLResourcePatternType.PREFIXED)
        granted = [
            ACL(principal, "*", each, ACLPermissionType.ALLOW, ours)
            for each in (ACLOperation.WRITE, ACLOperation.DESCRIBE)
        ]
        refused = self._ask(lambda admin: admin.create_acls(granted))["failed"]
        if refused:
            raise ConfigurationError(
                f"The brokers grant nothing: {refused[0][1]}.",
                where=self.bootstrap,
                cure="give them an authorizer, and call this as one of their super users.",
            )

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._hang_up()

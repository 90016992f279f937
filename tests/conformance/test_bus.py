"""What every bus promises, over the reference and over Kafka."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from bus.envelope import read
from bus.kafka import RECORD_BYTES, KafkaBus
from bus.memory import MemoryBus, partition_of
from bus.ports import Bus, Polled, Received, Record, runs_of
from kernel.errors import DependencyUnavailableError
from tests.broker import Broker

PARTITIONS = 2


def record(topic: str, key: str, value: bytes, **headers: str) -> Record:
    return Record(topic, key.encode(), value, tuple((k, v.encode()) for k, v in headers.items()))


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    if request.param == "memory":
        yield MemoryBus(PARTITIONS)
        return
    kafka = KafkaBus(request.getfixturevalue("broker").bootstrap, PARTITIONS, 1, 15.0)
    yield kafka
    kafka.close()


class Odd(str):
    """A text that is none once it is written."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return b"\xff\xfe"


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    name = "".join(c if c.isalnum() else "." for c in request.node.name).strip(".")
    return f"nplusx.{name}.v1"


def drain(bus: Bus, topic: str, positions: dict[int, int]) -> Polled:
    """Read to the ends as they are now."""
    ends = {partition: end for partition, (_, end) in bus.extents([topic])[topic].spans.items()}
    reader = bus.reader(topic, positions)
    records: list[Received] = []
    at = dict(positions)
    for _ in range(60):
        polled = reader.poll(0.5)
        records += polled.records
        at = dict(polled.positions)
        if all(at[partition] >= ends[partition] for partition in at):
            break
    reader.close()
    return Polled(runs_of(records), at)


def test_a_stream_stays_in_order_in_the_partition_of_its_key(bus: Bus, topic: str) -> None:
    bus.ensure_topics([topic])
    sender = bus.sender()
    keys = [f"91330523719500014U/agent/source{n}/erp.x.v1" for n in range(4)]
    sent = [record(topic, key, str(n).encode(), n=str(n)) for n in range(25) for key in keys]
    assert sender.send(sent) == ("",) * 100
    sender.close()
    polled = drain(bus, topic, {0: 0, 1: 0})
    for key in keys:
        mine = [each for each in polled.records if each.key == key.encode()]
        assert [each.value for each in mine] == [str(n).encode() for n in range(25)]
        assert [each.headers for each in mine] == [(("n", str(n).encode()),) for n in range(25)]
        assert {each.partition for each in mine} == {partition_of(key.encode(), PARTITIONS)}
        assert [each.offset for each in mine] == sorted(each.offset for each in mine)
    assert sum(polled.positions.values()) == 100
    assert all(each.broker_at.tzinfo is not None for each in polled.records)


def test_reading_resumes_where_the_position_says(bus: Bus, topic: str) -> None:
    bus.ensure_topics([topic])
    bus.ensure_topics([topic])
    sender = bus.sender()
    sender.send([record(topic, "k", str(n).encode()) for n in range(10)])
    home = partition_of(b"k", PARTITIONS)
    polled = drain(bus, topic, {home: 7})
    assert [each.value for each in polled.records] == [b"7", b"8", b"9"]
    assert polled.positions == {home: 10}
    assert drain(bus, topic, {home: 10}) == Polled((), {home: 10})
    sender.close()


@pytest.mark.kafka
def test_several_that_make_the_same_topics_at_once_all_find_them(
    broker: Broker, topic: str
) -> None:
    topics = [topic.replace(".v1", f"{n}.v1") for n in range(12)]
    buses = [KafkaBus(broker.bootstrap, PARTITIONS, 1, 15.0) for _ in range(4)]

    def make(bus: KafkaBus) -> set[str]:
        bus.ensure_topics(topics)
        return set(bus.extents(topics))

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(make, buses)) == [set(topics)] * len(buses)
    for bus in buses:
        bus.close()


def test_extents_leave_out_what_does_not_exist(bus: Bus, topic: str) -> None:
    bus.ensure_topics([topic])
    found = bus.extents([topic, "nplusx.never.made.v1"])
    assert {name: each.spans for name, each in found.items()} == {topic: {0: (0, 0), 1: (0, 0)}}
    assert bus.extents([]) == {}


def test_topics_of_our_prefix_are_listed_whoever_made_them(bus: Bus, topic: str) -> None:
    bus.ensure_topics([topic, "someone.elses"])
    assert topic in bus.topics()
    assert all(each.startswith("nplusx.") for each in bus.topics())


def test_a_topic_made_anew_has_another_id(bus: Bus, topic: str) -> None:
    bus.ensure_topics([topic])
    before = bus.extents([topic])[topic].id
    assert bus.extents([topic])[topic].id == bus.id_of(topic) == before
    drop(bus, topic)
    bus.ensure_topics([topic])
    assert bus.extents([topic])[topic].id == bus.id_of(topic) != before
    assert bus.id_of("nplusx.never.made.v1") == ""


def test_topics_whose_times_producers_choose_are_named(bus: Bus, topic: str) -> None:
    bus.ensure_topics([topic])
    others = topic.replace(".v1", ".v2")
    let_producers_choose(bus, others)
    assert bus.timed_by_producers([topic, others, "nplusx.never.made.v1"]) == [others]
    assert bus.timed_by_producers([]) == []
    with closing(bus.sender()) as sender:
        assert sender.send([record(others, "k", b"")]) == ("",)
        # Such a topic gives back what we said ourselves: no clock of another's.
        assert sender.clock is None


def let_producers_choose(bus: Bus, topic: str) -> None:
    """Make a topic as others do, with a broker's defaults."""
    if isinstance(bus, MemoryBus):
        bus.ensure_topics([topic])
        bus.by_producers.add(topic)
    elif isinstance(bus, KafkaBus):
        admin = KafkaAdminClient(bootstrap_servers=bus.bootstrap)
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
        admin.wait_for_topics([topic])
        admin.close()


def drop(bus: Bus, topic: str) -> None:
    """Delete a topic; no product part may."""
    if isinstance(bus, MemoryBus):
        bus.drop_topic(topic)
    elif isinstance(bus, KafkaBus):
        admin = KafkaAdminClient(bootstrap_servers=bus.bootstrap)
        admin.delete_topics([topic])
        while topic in admin.list_topics():
            time.sleep(0.05)
        admin.close()


def test_a_topic_that_is_not_there_is_refused(bus: Bus, topic: str) -> None:
    with pytest.raises(DependencyUnavailableError, match="not on the broker"):
        bus.reader(topic, {0: 0})
    sender = bus.sender()
    (outcome,) = sender.send([record(topic, "k", b"")])
    assert outcome
    sender.close()


def test_a_position_behind_the_end_is_never_a_silent_jump(bus: Bus, topic: str) -> None:
    bus.ensure_topics([topic])
    reader = bus.reader(topic, {0: 5})
    with pytest.raises(DependencyUnavailableError, match="cannot read on"):
        reader.poll(20)
    reader.close()


def test_a_partition_that_is_not_there_is_refused(bus: Bus, topic: str) -> None:
    bus.ensure_topics([topic])
    with pytest.raises(DependencyUnavailableError, match="not on the broker"):
        bus.reader(topic, {PARTITIONS: 0})


@pytest.mark.kafka
class TestKafka:
    """What only a broker can do."""

    @pytest.fixture
    def bus(self, broker) -> Iterator[KafkaBus]:
        kafka = KafkaBus(broker.bootstrap, PARTITIONS, 1, 15.0)
        yield kafka
        kafka.close()

    def test_a_topic_whose_settings_the_broker_does_not_tell_is_named_too(
        self, bus: KafkaBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As for a topic whose settings we may not see: no error, and no setting.
        monkeypatch.setattr(bus, "topics", lambda: ["nplusx.never.made.v1"])
        assert bus.timed_by_producers(["nplusx.never.made.v1"]) == ["nplusx.never.made.v1"]

    def test_the_largest_record_goes_through_and_a_larger_one_says_so(
        self, bus: KafkaBus, topic: str
    ) -> None:
        bus.ensure_topics([topic])
        sender = bus.sender()
        body = bytes(4 << 20)
        outcomes = sender.send(
            [
                record(topic, "k", body),
                record(topic, "k", bytes(RECORD_BYTES)),
                record(topic, "k", b""),
            ]
        )
        sender.close()
        assert outcomes[0] == ""
        assert "Size" in outcomes[1] or "Large" in outcomes[1]
        # Order within a stream outranks delivery: what follows a failure waits.
        assert "earlier" in outcomes[2]
        polled = drain(bus, topic, {partition_of(b"k", PARTITIONS): 0})
        assert [each.value for each in polled.records] == [body]

    def test_a_backlog_of_large_records_is_handed_over_in_portions(
        self, bus: KafkaBus, topic: str
    ) -> None:
        bus.ensure_topics([topic])
        sender = bus.sender()
        assert not any(sender.send([record(topic, "k", bytes(4 << 20))] * 14))
        sender.close()
        reader = bus.reader(topic, {partition_of(b"k", PARTITIONS): 0})
        sizes = [len(reader.poll(5).records) for _ in range(4)]
        reader.close()
        assert max(sizes) < 14

    def test_aborted_records_stay_unseen_and_markers_are_passed(
        self, bus: KafkaBus, broker, topic: str
    ) -> None:
        confluent_kafka = pytest.importorskip("confluent_kafka")
        bus.ensure_topics([topic])
        producer = confluent_kafka.Producer(
            {"bootstrap.servers": broker.bootstrap, "transactional.id": topic}
        )
        producer.init_transactions(15)
        for value, end in (
            (b"kept", producer.commit_transaction),
            (b"dropped", producer.abort_transaction),
        ):
            producer.begin_transaction()
            producer.produce(topic, value, partition=0)
            producer.flush(15)
            end(15)
        polled = drain(bus, topic, {0: 0})
        assert [each.value for each in polled.records] == [b"kept"]
        assert polled.positions == {0: 4}
        assert bus.extents([topic])[topic].spans[0] == (0, 4)
        # A second reader, for which no record is left, passes the markers too.
        assert drain(bus, topic, {0: 1}) == Polled((), {0: 4})

    def test_a_header_whose_name_is_no_text_holds_up_nothing(
        self, bus: KafkaBus, broker, topic: str
    ) -> None:
        bus.ensure_topics([topic])
        raw = KafkaProducer(bootstrap_servers=broker.bootstrap, compression_type=None)
        raw.send(topic, b"odd", partition=0, headers=[("a", b"1"), (Odd("odd"), b"x")])
        raw.send(topic, b"next", partition=0)
        raw.flush(15)
        raw.close()
        first, second = drain(bus, topic, {0: 0}).records
        assert (first.value, second.value) == (b"odd", b"next")
        assert read(first).faults

    def test_a_tombstone_and_a_record_without_key_are_read(
        self, bus: KafkaBus, broker, topic: str
    ) -> None:
        confluent_kafka = pytest.importorskip("confluent_kafka")
        bus.ensure_topics([topic])
        producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap})
        producer.produce(topic, None, key=b"k", partition=0, headers=[("empty", None)])
        producer.produce(topic, b"v", partition=0)
        producer.flush(15)
        first, second = drain(bus, topic, {0: 0}).records
        assert (first.key, first.value, first.headers) == (b"k", None, (("empty", b""),))
        assert (second.key, second.value) == (None, b"v")


@pytest.mark.kafka
@pytest.mark.parametrize(
    "use",
    [
        lambda bus: bus.extents(["t"]),
        lambda bus: bus.sender(),
        lambda bus: bus.reader("t", {0: 0}),
        lambda bus: bus.ensure_topics(["t"]),
    ],
    ids=["extents", "sender", "reader", "ensure_topics"],
)
def test_a_silent_broker_is_named_with_its_setting(use: Callable[[KafkaBus], object]) -> None:
    bus = KafkaBus("127.0.0.1:9", PARTITIONS, 1, 1.0)
    with pytest.raises(DependencyUnavailableError) as caught:
        use(bus)
    assert "127.0.0.1:9" in str(caught.value)
    assert "NPLUSX_KAFKA_BOOTSTRAP_SERVERS" in str(caught.value)

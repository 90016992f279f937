"""A topic that gets more partitions: their records land, at once or next time, and it is told."""

import time
from pathlib import Path
from threading import Event, Thread

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from bus.kafka import KafkaBus
from bus.ports import Record
from bus.topics import topic_of
from contracts.loader import find
from pipeline.settings import LandSettings
from tests.broker import Broker
from tests.pipeline.county import County, payments
from tests.pipeline.test_follow import await_rows
from tests.rows import record_of

pytestmark = pytest.mark.kafka
CONTRACT = find("erp.payment.v1")
TOPIC = topic_of(CONTRACT.id)


def send(broker: Broker, record: Record, partition: int) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, compression_type=None)
    producer.send(TOPIC, record.value, record.key, list(record.headers), partition=partition)
    producer.flush(30)
    producer.close()


def add_partition(broker: Broker) -> int:
    """Give the topic one partition more; tell its number."""
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    bus = KafkaBus(broker.bootstrap, 2, 1, 15.0)
    count = len(bus.extents([TOPIC])[TOPIC].spans)
    admin.create_partitions({TOPIC: count + 1})
    while len(bus.extents([TOPIC])[TOPIC].spans) == count:
        time.sleep(0.05)
    bus.close()
    admin.close()
    return count


def told(county: County) -> list[object]:
    commits = county.store.open(CONTRACT.table).commits()
    return [
        each.facts["partitions_added"] for each in commits if each.facts.get("partitions_added")
    ]


@pytest.mark.parametrize("is_running", [True, False], ids=["a follower", "a next drain"])
def test_records_of_a_partition_that_was_added_land_and_it_is_told(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_running: bool
) -> None:
    monkeypatch.setattr("pipeline.land.LOOK_AGAIN_SECONDS", 0.5)
    county = County(tmp_path, land=LandSettings(follow_seconds=0.05))
    county.bus = KafkaBus(broker.bootstrap, 2, 1, 15.0)
    county.bus.ensure_topics([TOPIC])
    epoch = tmp_path.name
    send(broker, record_of(CONTRACT, payments(1), sequence=1, epoch=epoch), 0)
    stop = Event()
    thread = Thread(target=county.lander().follow, args=(stop,))
    county.land()
    before = len(county.landed())
    if is_running:
        thread.start()
    try:
        added = add_partition(broker)
        send(broker, record_of(CONTRACT, payments(2), sequence=2, epoch=epoch), added)
        if not is_running:
            county.land()
        await_rows(county, before + 1)
    finally:
        stop.set()
        if is_running:
            thread.join(30)
    county.bus.close()
    mine = [row for row in county.landed() if row["_epoch"] == epoch]
    places = {(row["payment_id"], row["_partition"]) for row in mine}
    assert places == {("PAY1", 0), ("PAY2", added)}
    assert told(county) == [[added]]

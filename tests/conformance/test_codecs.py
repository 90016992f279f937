"""Whatever codec a producer packs its batches with, what it sent lands alike."""

from collections.abc import Callable
from pathlib import Path

import confluent_kafka
import pytest
from kafka import KafkaProducer

from bus.kafka import KafkaBus
from bus.ports import Record
from bus.topics import topic_of
from contracts.loader import find
from tests.broker import Broker
from tests.pipeline.county import County, payments
from tests.rows import record_of

pytestmark = pytest.mark.kafka
CONTRACT = find("erp.payment.v1")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def with_confluent(bootstrap: str, codec: str, record: Record) -> None:
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "compression.type": codec,
            "linger.ms": 50,
        }
    )
    producer.produce(record.topic, record.value, record.key, headers=list(record.headers))
    assert producer.flush(30) == 0


def with_kafka_python(bootstrap: str, codec: str, record: Record) -> None:
    kind = None if codec == "none" else codec
    producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type=kind, linger_ms=50)
    producer.send(record.topic, record.value, record.key, list(record.headers))
    producer.flush(30)
    producer.close()


Producer = Callable[[str, str, Record], None]


@pytest.mark.parametrize("produce", [with_confluent, with_kafka_python])
def test_every_codec_of_every_client_lands_alike(
    broker: Broker, tmp_path: Path, produce: Producer
) -> None:
    county = County(tmp_path)
    bus = KafkaBus(broker.bootstrap, 2, 1, 15.0)
    bus.ensure_topics([topic_of(CONTRACT.id)])
    numbers = range(500)
    for sequence, codec in enumerate(CODECS, 1):
        record = record_of(CONTRACT, payments(*numbers), sequence=sequence, epoch=produce.__name__)
        produce(broker.bootstrap, codec, record)
    county.bus = bus
    county.land()
    bus.close()
    mine = [row for row in county.landed() if row["_epoch"] == produce.__name__]
    names = [each.name for each in CONTRACT.properties]
    by_codec = [
        [[row[name] for name in names] for row in mine if row["_sequence"] == sequence]
        for sequence in range(1, len(CODECS) + 1)
    ]
    assert [len(rows) for rows in by_codec] == [len(numbers)] * len(CODECS)
    assert all(rows == by_codec[0] for rows in by_codec)

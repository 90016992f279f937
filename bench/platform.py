"""A platform to measure on: a real broker, a state folder, one registered factory."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Producer

from bench.rows import AGENT, FACTORY, KEY
from bus.ports import Received, Record
from pipeline import wiring
from pipeline.settings import Settings, read_settings
from registry.keys import save_agent, save_key
from registry.kinds import EnterpriseKind
from registry.people import Enterprise, save_enterprise
from tests.broker import Broker, running_broker

_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@contextmanager
def platform() -> Iterator[Settings]:
    """Start a broker and register a factory; both are gone at the end."""
    with platform_with_broker() as (settings, _):
        yield settings


@contextmanager
def platform_with_broker() -> Iterator[tuple[Settings, Broker]]:
    """Give the broker too: it may be stopped and started again."""
    with tempfile.TemporaryDirectory(prefix="nplusx-bench-") as folder:
        (kafka := Path(folder) / "kafka").mkdir()
        with running_broker(kafka) as broker:
            os.environ["NPLUSX_STATE_DIR"] = str(Path(folder) / "state")
            os.environ["NPLUSX_KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap
            os.environ["NPLUSX_KAFKA_PARTITIONS"] = "1"
            settings = read_settings()
            registry = wiring.registry(settings)
            kind = EnterpriseKind.FACTORY
            save_enterprise(
                registry,
                Enterprise(FACTORY, "某厂", kind, "330523", "C2130", accepts_unsigned=True),
            )
            save_agent(registry, AGENT, FACTORY)
            save_key(registry, AGENT, KEY.public, _LONG_AGO)
            yield settings, broker


def send(settings: Settings, records: Iterable[Record]) -> None:
    """Put records on the bus, by a client that is quick with small ones."""
    refused: list[object] = []
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "linger.ms": 20})
    known: set[str] = set()
    with closing(wiring.bus(settings)) as bus:
        for each in records:
            if each.topic not in known:
                bus.ensure_topics([each.topic])
                known.add(each.topic)
            while True:
                try:
                    producer.produce(
                        each.topic, each.value, each.key, headers=list(each.headers),
                        on_delivery=lambda error, _: refused.append(error) if error else None,
                    )  # fmt: skip
                    break
                except BufferError:
                    producer.poll(0.1)
    if producer.flush(120) or refused:
        raise RuntimeError(f"the broker refused records: {refused[:1]}")


def records(settings: Settings, topic: str) -> Iterator[Received]:
    """Give all that a topic holds now."""
    with closing(wiring.bus(settings)) as bus:
        ends = {part: end for part, (_, end) in bus.extents([topic])[topic].spans.items()}
        positions = dict.fromkeys(ends, 0)
        with closing(bus.reader(topic, positions)) as reader:
            while any(positions[part] < end for part, end in ends.items()):
                polled = reader.poll(1.0)
                positions = dict(polled.positions)
                yield from polled.records

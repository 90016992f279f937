"""From an agent's outbox to the brokers after an outage: how quick, and that nothing is lost."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench import tasks
from bench.agents import agent_file, reading
from bench.measures import Measure, Size, rate
from bench.platform import platform_with_broker, records
from bench.rows import CONTRACT
from bench.tables import PRESET, database
from bus.envelope import read
from bus.topics import topic_of
from pipeline import wiring
from pipeline.settings import Settings

_LEAST = 500_000
# One row a record is slow: a part of the rows tells how much.
_PEER_SHARE = 10
_PEER_TOPIC = "json"


def catch_up(size: Size) -> Iterator[Measure]:
    """Read a table while the broker is away; time how the backlog is sent when it is back."""
    rows = size.read_rows
    with (
        tempfile.TemporaryDirectory(prefix="nplusx-bench-") as place,
        platform_with_broker() as (settings, broker),
    ):
        with closing(wiring.bus(settings)) as bus:
            bus.ensure_topics([topic_of(CONTRACT.id), _PEER_TOPIC])
        broker.stop()
        with database(rows) as address:
            folder = Path(place)
            agent = str(agent_file(folder, PRESET, [reading(folder, address)]))
            if not tasks.run("store", agent=agent)["waiting"]:
                raise RuntimeError("the agent stored nothing while the broker was away")
            broker.start()
            ours = tasks.run("forward", agent=agent)
        if (found := _rows_on(settings)) != rows:
            raise RuntimeError(f"{found} of {rows} rows are on the topic")
        theirs = tasks.run("send_json", rows=rows // _PEER_SHARE, topic=_PEER_TOPIC)
    value = rate(rows, tasks.seconds(ours))
    peer = rate(rows // _PEER_SHARE, tasks.seconds(theirs))
    yield Measure(
        id="outbox_to_kafka",
        value=value,
        unit="rows/s",
        rows=rows,
        goal="≥ 500,000 rows/s, none lost, none doubled",
        met=value >= _LEAST,
        peer=f"confluent-kafka, a JSON row a record, from memory: {peer} rows/s",
        ratio=round(value / peer, 2),
        details={"ours": ours, "peer": theirs},
    )


def _rows_on(settings: Settings) -> int:
    """Count a topic's rows by its records' headers; each number of the stream is there once."""
    rows, numbers = 0, []
    for each in map(read, records(settings, topic_of(CONTRACT.id))):
        rows += each.row_count or 0
        numbers.append(each.sequence)
    if numbers != list(range(1, len(numbers) + 1)):
        raise RuntimeError("records are missing, doubled or out of order")
    return rows

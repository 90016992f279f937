"""Publish: what was read reaches the bus once, whatever dies in between."""

import io
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from bus.envelope import read as read_envelope
from bus.memory import MemoryBus
from bus.ports import Bus, Reader, Received, Record, Sender
from bus.topics import topic_of
from connectors.config import AgentConfig
from kernel import canonical, clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import ContractId
from pipeline.bodies import BODY_BYTES, ROWS, encode
from pipeline.publish import Agent, run_agent
from pipeline.rounds import RoundReport, read_status, watch
from pipeline.settings import ROOT, read_settings
from tests.pipeline.site import CONTRACTS, KEY, USCC, Site


class FileBus(Sender):
    """A bus that outlives a killed process: each record is a line of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def sender(self) -> Sender:
        return self

    def send(self, records: Sequence[Record]) -> tuple[str, ...]:
        with self._path.open("ab") as file:
            for record in records:
                headers = [[name, value.decode()] for name, value in record.headers]
                line = [record.topic, record.key.decode(), record.value.hex(), headers]
                file.write(canonical.dumps(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return ("",) * len(records)

    def close(self) -> None:
        return

    def ensure_topics(self, topics: Sequence[str]) -> None:
        raise NotImplementedError

    def ends(self, topics: Sequence[str]) -> Mapping[str, Mapping[int, tuple[int, int]]]:
        raise NotImplementedError

    def reader(self, topic: str, positions: Mapping[int, int]) -> Reader:
        raise NotImplementedError


@pytest.fixture
def bus() -> MemoryBus:
    made = MemoryBus()
    made.ensure_topics([topic_of(ContractId(each)) for each in CONTRACTS])
    return made


@pytest.fixture
def agent(site: Site, bus: MemoryBus) -> Iterator[Agent]:
    made = Agent(site.config, bus, read_settings())
    yield made
    made.close()


def one_round(config: AgentConfig, bus: Bus) -> RoundReport:
    """Make one round, by itself, and let go of everything."""
    with closing(Agent(config, bus, read_settings())) as made:
        return made.round()


def received(bus: MemoryBus, contract: str = "retrofit.invoice_line.v1") -> list[Received]:
    return [r for part in (0, 1) for r in bus.log_of(topic_of(ContractId(contract)), part)]


def rows_of(body: bytes) -> list[dict[str, object]]:
    with pa.ipc.open_stream(io.BytesIO(body)) as stream:
        return stream.read_all().to_pylist()


def test_rows_arrive_in_order_signed_and_numbered(site: Site, bus: MemoryBus, agent: Agent) -> None:
    site.fill(25)
    report = agent.round()
    assert report.is_clean
    records = received(bus)
    assert [row["line_no"] for each in records for row in rows_of(each.value or b"")] == list(
        range(25)
    )
    for number, each in enumerate(records, 1):
        envelope = read_envelope(each)
        assert envelope.sequence == number
        assert envelope.is_signed_by(KEY.public)
        assert envelope.contract_version == "1.0.0"
        assert envelope.row_count == len(rows_of(each.value or b""))
    assert agent.round().streams[1].rows_read == 0
    site.fill(3, start=25)
    assert agent.round().streams[1].rows_read == 3
    assert len(received(bus)) == len(records) + 1


def test_the_status_tells_rows_pending_and_trouble(site: Site, agent: Agent) -> None:
    site.fill(25)
    agent.round()
    status = read_status(site.config)
    assert status is not None
    assert status.error == ""
    assert [(each.contract, each.rows_ever, each.pending) for each in status.streams] == [
        (contract, 25 if "line" in contract else 0, 0) for contract in CONTRACTS
    ]


def test_one_streams_trouble_does_not_stop_the_others(
    site: Site, bus: MemoryBus, agent: Agent
) -> None:
    site.fill(5)
    site.rename_table("retrofit_project", "elsewhere")
    report = agent.round()
    assert "no such table" in report.streams[0].error
    assert report.streams[1].rows_read == 5
    assert len(received(bus)) == 1
    site.rename_table("elsewhere", "retrofit_project")
    assert agent.round().is_clean


def test_a_topic_that_is_missing_keeps_its_rows_and_lets_others_go(site: Site) -> None:
    bus = MemoryBus()
    bus.ensure_topics([topic_of(ContractId("gov.enterprise.v1"))])
    agent = Agent(site.config, bus, read_settings())
    site.fill(12)
    with sqlite3.connect(site.database) as db:
        db.execute(
            "insert into scale_listing values (?, 2024, 'x', '330523', 'C2130', 1, '2024-01-01')",
            (USCC,),
        )
    db.close()
    report = agent.round()
    assert [each.pending for each in report.streams] == [0, 2, 0, 0]
    assert "UnknownTopic" in report.streams[1].error
    bus.ensure_topics([topic_of(ContractId("retrofit.invoice_line.v1"))])
    assert agent.round().is_clean
    assert len(received(bus)) == 2
    agent.close()


class _Down(MemoryBus):
    up = False

    def sender(self) -> Sender:
        if not self.up:
            raise DependencyUnavailableError("Kafka does not answer")
        return super().sender()


def test_while_the_broker_is_down_rows_are_stored_and_later_forwarded(site: Site) -> None:
    bus = _Down()
    bus.ensure_topics([topic_of(ContractId(each)) for each in CONTRACTS])
    agent = Agent(site.config, bus, read_settings())
    site.fill(25)
    report = agent.round()
    assert "does not answer" in report.error
    assert report.streams[1].rows_read == 25
    assert report.streams[1].pending == 3
    bus.up = True
    assert agent.round().is_clean
    assert [row["line_no"] for each in received(bus) for row in rows_of(each.value or b"")] == list(
        range(25)
    )
    agent.close()


def test_a_full_outbox_stops_reading_and_drops_nothing(site: Site) -> None:
    text = site.file.read_text("utf-8").replace(
        "outbox: outbox.sqlite", "outbox: outbox.sqlite\n  outbox_bytes: 50000"
    )
    site.file.write_text(text, "utf-8")
    bus = _Down()
    bus.ensure_topics([topic_of(ContractId(each)) for each in CONTRACTS])
    agent = Agent(site.config, bus, read_settings())
    site.fill(200)
    report = agent.round()
    assert "outbox is full" in report.streams[1].error
    assert 0 < report.streams[1].rows_read < 200
    bus.up = True
    assert agent.round().is_clean
    assert [row["line_no"] for each in received(bus) for row in rows_of(each.value or b"")] == list(
        range(200)
    )
    agent.close()


def test_a_round_by_itself_lets_go_of_the_outbox(site: Site, bus: MemoryBus) -> None:
    site.fill(3)
    assert one_round(site.config, bus).is_clean
    assert one_round(site.config, bus).streams[1].rows_read == 0


def test_a_missing_key_says_how_to_make_one(site: Site, bus: MemoryBus) -> None:
    site.config.key_file.unlink()
    with pytest.raises(ConfigurationError, match="nplusx agent key"):
        one_round(site.config, bus)


_ROUND = """
import sys
from pathlib import Path
from connectors.config import load_agent
from tests.pipeline.test_publish import FileBus, one_round
one_round(load_agent(Path(sys.argv[1])), FileBus(Path(sys.argv[2])))
"""
POINTS = ("publish.before_put", "publish.after_put", "publish.after_send", "publish.after_mark")


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_between_read_and_send_neither_loses_nor_doubles(site: Site, point: str) -> None:
    site.fill(25)
    crash = site.folder / "crash"
    crash.mkdir()
    bus = site.folder / "bus.jsonl"

    def run() -> int:
        # The variable names what this process inherits, so it is set for the child alone.
        command = [sys.executable, "-c", _ROUND, str(site.file), str(bus)]
        environment = {**os.environ, "NPLUSX_CRASH_DIR": str(crash)}
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode

    for _ in range(3):
        (crash / point).touch()
        run()
        assert not (crash / point).exists() or point != "publish.before_put"
    (crash / point).unlink(missing_ok=True)
    assert run() == 0
    seen: dict[int, bytes] = {}
    for line in bus.read_bytes().splitlines():
        _, _, body, headers = canonical.loads(line)
        sequence = int(dict(headers)["ce_sequence"])
        # A number sent twice carries the same bytes: landing tells the repeat.
        assert seen.setdefault(sequence, bytes.fromhex(body)) == bytes.fromhex(body)
    assert sorted(seen) == list(range(1, len(seen) + 1))
    rows = [row["line_no"] for number in sorted(seen) for row in rows_of(seen[number])]
    assert rows == list(range(25))


def test_the_first_kill_really_happens(site: Site) -> None:
    site.fill(5)
    (site.folder / "publish.after_put").touch()
    command = [sys.executable, "-c", _ROUND, str(site.file), str(site.folder / "bus.jsonl")]
    environment = {**os.environ, "NPLUSX_CRASH_DIR": str(site.folder)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL


def test_the_resident_agent_answers_a_nudge_and_stops_when_told(site: Site, bus: MemoryBus) -> None:
    site.fill(4)
    stop = threading.Event()
    resident = threading.Thread(target=run_agent, args=(site.file, stop, bus))
    resident.start()
    try:
        first = watch(read_settings(), seconds=30)
        site.fill(2, start=4)
        second = watch(read_settings(), seconds=30)
    finally:
        stop.set()
        resident.join(30)
    assert not resident.is_alive()
    assert isinstance(first["county"], dict)
    assert isinstance(second["county"], dict)
    assert first["county"]["rows_ever"] == 4
    assert second["county"]["rows_ever"] == 6
    assert second["county"]["errors"] == []


def test_a_silent_agent_is_named(site: Site) -> None:
    assert site.config.id == "county"
    with pytest.raises(DependencyUnavailableError, match="agent county is silent"):
        watch(read_settings(), seconds=0.0)


def test_bodies_stay_within_the_limits_of_rows_and_bytes() -> None:
    bodies = encode(pa.table({"n": list(range(2 * ROWS + 2001))}), "1.0.0")
    assert [each.rows for each in bodies] == [ROWS, ROWS, 2001]
    noise = pa.table({"t": [os.urandom(700_000).hex() for _ in range(9)]})
    bodies = encode(noise, "1.0.0")
    assert sum(each.rows for each in bodies) == 9
    assert len(bodies) > 1
    assert all(len(each.body) <= BODY_BYTES for each in bodies)
    assert [row for each in bodies for row in rows_of(each.body)] == noise.to_pylist()


def test_a_row_that_no_record_can_carry_travels_cut(site: Site) -> None:
    huge = pa.table({"id": ["a", "b"], "t": [os.urandom(6 << 20).hex(), "small"]})
    bodies = encode(huge, "1.0.0")
    assert all(len(each.body) <= BODY_BYTES for each in bodies)
    found = [row for each in bodies for row in rows_of(each.body)]
    assert [row["id"] for row in found] == ["a", "b"]
    assert len(str(found[0]["t"])) == 64 << 10
    assert found[1]["t"] == "small"


def test_equal_rows_are_equal_bytes() -> None:
    rows = pa.table({"a": [1, 2]})
    chunks = pa.concat_tables([rows.slice(0, 1), rows.slice(1)]).replace_schema_metadata({"x": "y"})
    assert encode(rows, "1")[0].body == encode(chunks, "1")[0].body


def test_the_clock_of_the_status_moves(site: Site, agent: Agent) -> None:
    before = clock.now()
    report = agent.round()
    assert before <= report.started_at <= report.finished_at

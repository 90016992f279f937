"""Landers race over a real broker and are killed at any moment: nothing lost, nothing twice."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from bus.kafka import KafkaBus
from bus.ports import Record
from bus.topics import topic_of
from contracts.loader import find
from kernel.ids import ContractId
from pipeline import wiring
from pipeline.doctor import examine
from pipeline.settings import read_settings
from registry.keys import save_agent, save_key
from registry.kinds import EnterpriseKind
from registry.people import Enterprise, save_enterprise
from tests.broker import Broker, running_broker
from tests.code_health.tree import ROOT
from tests.flow.nursery import nursery
from tests.pipeline.county import LONG_AGO, County
from tests.rows import FACTORY, KEY, record_of, stream_of, valid_row
from warehouse import attempts
from warehouse.landing import RECORD_SCHEMA, RECORDS
from warehouse.store import TableStore

pytestmark = [pytest.mark.kafka, pytest.mark.real_system]
CONTRACT = find("erp.payment.v1")
POINTS = ("land.before_write", "land.between_writes", "land.before_commit", "land.after_commit")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("kafka")) as started:
        yield started


@pytest.fixture
def variables(tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Settings of a platform of its own, with one factory registered."""
    (tmp_path / "crashes").mkdir()
    found = {
        "NPLUSX_STATE_DIR": str(tmp_path / "state"),
        "NPLUSX_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "NPLUSX_LAND_COMMIT_ROWS": "40",
        "NPLUSX_CRASH_DIR": str(tmp_path / "crashes"),
    }
    for name, text in found.items():
        monkeypatch.setenv(name, text)
    registry = wiring.registry(read_settings())
    factory = Enterprise(FACTORY, "某厂", EnterpriseKind.FACTORY, "330523", "C2130")
    agent = stream_of(CONTRACT).agent
    save_enterprise(registry, factory)
    save_agent(registry, agent, FACTORY)
    save_key(registry, agent, KEY.public, LONG_AGO)
    return found


def batches(count: int) -> list[Record]:
    """Ten rows each, one of which is bad in every third batch."""
    return [
        record_of(
            CONTRACT,
            [
                valid_row(
                    CONTRACT,
                    payment_id=f"P{number}-{place}",
                    payee_uscc="x" * 18 if number % 3 == 0 and place == 0 else FACTORY,
                )
                for place in range(10)
            ],
            sequence=number,
        )
        for number in range(1, count + 1)
    ]


def told(rows: list[dict[str, object]]) -> Counter[tuple[object, ...]]:
    return Counter((each["payment_id"], each["_sequence"], each["_row"]) for each in rows)


def must_be_as_in_one_go(records: list[Record], folder: Path) -> None:
    """Compare with one lander that nobody disturbed."""
    quiet = County(folder)
    quiet.send(*records)
    quiet.land()
    settings = read_settings()
    store = wiring.store(settings)
    assert told(store.open(CONTRACT.table).dataset().to_table().to_pylist()) == told(quiet.landed())
    health = examine(settings)
    assert health.ok, health.findings
    (stream,) = health.streams
    assert stream.quarantined == len(quiet.reasons())


def send(broker: Broker, records: list[Record]) -> None:
    bus = KafkaBus(broker.bootstrap, 2, 1, 15.0)
    bus.ensure_topics([topic_of(CONTRACT.id)])
    sender = bus.sender()
    assert set(sender.send(records)) <= {""}
    sender.close()
    bus.close()


@pytest.fixture(autouse=True)
def _empty_broker(broker: Broker) -> Iterator[None]:
    """Each test has the broker for itself."""
    from kafka import KafkaAdminClient

    yield
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    ours = [each for each in admin.list_topics() if each.startswith("nplusx.")]
    admin.delete_topics(ours)
    while set(ours) & set(admin.list_topics()):
        time.sleep(0.05)
    admin.close()


def test_following_is_a_command_that_ends_when_it_is_told(
    variables: dict[str, str], broker: Broker, tmp_path: Path
) -> None:
    records = batches(20)
    send(broker, records[:10])
    words = ["land", "--follow", "--contract", CONTRACT.id]
    with subprocess.Popen([sys.executable, "-m", "pipeline.cli", *words], cwd=ROOT) as follower:
        store = wiring.store(read_settings())
        for wanted, more in ((10, records[10:]), (20, [])):
            deadline = time.monotonic() + 60
            while wanted > landed_records(store):
                assert follower.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            send(broker, more)
        follower.send_signal(signal.SIGTERM)
        assert follower.wait(30) == 0
    must_be_as_in_one_go(records, tmp_path / "quiet")


def landed_records(store: TableStore) -> int:
    return attempts.visible(store, RECORDS, RECORD_SCHEMA).num_rows


def test_a_lander_killed_at_each_point_loses_and_repeats_nothing(
    variables: dict[str, str], broker: Broker, tmp_path: Path
) -> None:
    records = batches(40)
    send(broker, records)
    with nursery(variables, CONTRACT.id) as landers:
        for point in 3 * POINTS:
            (tmp_path / "crashes" / point).touch()
            assert landers.run("land") == -signal.SIGKILL
        assert landers.run("land") == 0
        assert landers.run("replay") == 0
    must_be_as_in_one_go(records, tmp_path / "quiet")


def race(variables: dict[str, str], broker: Broker, tmp_path: Path, kills: int) -> None:
    """Send in bursts, some of it twice; two landers and a maintainer race, one dies at a time."""
    records = batches(12 * kills)
    send(broker, records[:1])

    def keep_sending() -> None:
        for start in range(1, len(records), 10):
            burst = records[start : start + 10]
            send(broker, [*burst, *burst[start % 7 :: 4]])
            time.sleep(0.2)

    producer = Thread(target=keep_sending)
    with nursery(variables, CONTRACT.id) as landers:
        running = [(word, landers.start(word)) for word in ("follow", "tend", "follow")]
        producer.start()
        for number in range(kills):
            # Pauses that look like chance and are the same each time.
            time.sleep(0.02 + number * 0.618 % 0.6)
            word, victim = running.pop(0)
            os.kill(victim, signal.SIGKILL)
            assert landers.wait(victim) == -signal.SIGKILL
            running.append((word, landers.start(word)))
        producer.join(600)
        for _, each in running:
            os.kill(each, signal.SIGKILL)
            landers.wait(each)
        assert landers.run("land") == 0
    must_be_as_in_one_go(records, tmp_path / "quiet")


def test_landers_and_a_maintainer_that_are_killed_again_and_again(
    variables: dict[str, str], broker: Broker, tmp_path: Path
) -> None:
    race(variables, broker, tmp_path, kills=12)


@pytest.mark.soak
def test_landers_and_a_maintainer_that_are_killed_three_hundred_times(
    variables: dict[str, str], broker: Broker, tmp_path: Path
) -> None:
    race(variables, broker, tmp_path, kills=300)


def test_a_topic_without_a_contract_is_kept_once_however_often_its_keeper_is_killed(
    variables: dict[str, str], broker: Broker, tmp_path: Path
) -> None:
    unknown = "iot.reading.v1"
    bodies = [f"{number}".encode() for number in range(90)]
    bus = KafkaBus(broker.bootstrap, 2, 1, 15.0)
    bus.ensure_topics([topic_of(ContractId(unknown))])
    sender = bus.sender()
    records = [Record(topic_of(ContractId(unknown)), body[-1:], body, ()) for body in bodies]
    assert set(sender.send(records)) == {""}
    sender.close()
    bus.close()
    with nursery(variables, unknown) as keepers:
        for point in ("land.before_commit", "land.after_commit"):
            (tmp_path / "crashes" / point).touch()
            assert keepers.run("land") == -signal.SIGKILL
        running = [keepers.start("land") for _ in range(2)]
        assert [keepers.wait(each) for each in running] == [0, 0]
    rows = wiring.store(read_settings()).open(f"unknown__{unknown}").dataset().to_table()
    assert sorted(rows["body"].to_pylist()) == sorted(bodies)
    (notice,) = examine(read_settings()).notices
    assert "90 records are kept" in notice


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_drain_that_is_told_to_stop_finishes_its_commit_and_says_so(
    variables: dict[str, str],
    broker: Broker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sent: signal.Signals,
) -> None:
    monkeypatch.setenv("NPLUSX_LAND_COMMIT_ROWS", "1")
    records = batches(150)
    send(broker, records)
    words = ["land", "--contract", CONTRACT.id]
    with subprocess.Popen([sys.executable, "-m", "pipeline.cli", *words], cwd=ROOT) as drain:
        store = wiring.store(read_settings())
        deadline = time.monotonic() + 60
        while landed_records(store) < 3:
            assert drain.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        drain.send_signal(sent)
        assert drain.wait(30) == 130
    assert 3 <= landed_records(store) < len(records)
    # Nothing was written in vain: every attempt was decided.
    whole = store.open(RECORDS).dataset().to_table(["attempt"]).num_rows
    assert whole == landed_records(store)
    monkeypatch.setenv("NPLUSX_LAND_COMMIT_ROWS", "10000")
    done = subprocess.run([sys.executable, "-m", "pipeline.cli", *words], cwd=ROOT, check=False)
    assert done.returncode in {0, 3}
    must_be_as_in_one_go(records, tmp_path / "quiet")

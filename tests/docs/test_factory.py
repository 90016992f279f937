"""Who follows docs/factory.md gets from nothing to rows on the county's brokers."""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bus.kafka import KafkaBus
from bus.topics import topic_of
from connectors.registry import find
from county import load, shape, truth
from county.servers.postgres import READER, Postgres
from kernel import yaml
from pipeline.settings import ROOT
from tests.broker import Broker, running_broker
from tests.docs.test_how_to import run
from tests.flow.stage import passable_folder

PAGE = (ROOT / "docs/factory.md").read_text("utf-8")
STEPS = re.findall(r"^\*\*(\d+)\. ", PAGE, re.MULTILINE)
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.strip().splitlines()
]
SOURCES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
WAITS, ASKS = "nplusx agent run u8/agent.yaml", "nplusx agent status u8/agent.yaml"
BOOKS, _ = truth.demo_books()
SERVED = [plan.contract for plan in find("yonyou_u8").streams]

pytestmark = [pytest.mark.kafka, pytest.mark.real_system]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    folder = tmp_path / "kafka"
    folder.mkdir()
    with running_broker(folder) as started:
        with closing(KafkaBus(started.bootstrap, 1, 1, 15.0)) as bus:
            bus.ensure_topics([topic_of(each) for each in SERVED])
        yield started


@pytest.fixture
def erp() -> Iterator[Postgres]:
    folder = passable_folder()
    server = Postgres(folder / "erp")
    server.start()
    try:
        url = server.database("ufdata")
        load.into_database(
            url, shape.tables(truth.demo_factory(), "yonyou_u8", shape.as_arrow(BOOKS))
        )
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def test_a_factory_gets_from_nothing_to_flowing_data(
    broker: Broker, erp: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(STEPS) <= 10
    monkeypatch.setenv("NPLUSX_KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap)
    resident = None
    said: list[str] = []
    try:
        for command in COMMANDS:
            if command == WAITS:
                words = [sys.executable, "-m", "pipeline.cli", *command.split()[1:]]
                resident = subprocess.Popen([*words[:-1], str(tmp_path / words[-1])], cwd=ROOT)
                continue
            if command == ASKS:
                said.append(until_sent(command, tmp_path))
                continue
            said.append(run(command, tmp_path, ROOT))
            if " init " in command:
                write_down(tmp_path / "u8", erp)
    finally:
        if resident is not None:
            resident.send_signal(signal.SIGTERM)
            assert resident.wait(60) == 0
    assert "yonyou_u8" in said[0]
    assert "agent.key.pub" in said[1]
    assert "would be refused" in said[3]
    with closing(KafkaBus(broker.bootstrap, 1, 1, 15.0)) as bus:
        extents = bus.extents([topic_of(each) for each in SERVED])
        assert all(end > 0 for each in extents.values() for _, end in each.spans.values())


def write_down(folder: Path, erp: Postgres) -> None:
    """Do step 4: the page's own lines, with the address that is real here."""
    (sources,) = SOURCES
    place = erp.address("ufdata", READER, "x").rpartition("@")[2]
    real = sources.replace("erp.example:5432/UFDATA_001_2024", place)
    (folder / "password").write_text(erp.reader_file.read_text("utf-8"), "utf-8")
    file = folder / "agent.yaml"
    told = yaml.load_mapping(file)
    kept = {name: each for name, each in told.items() if name != "sources"}
    file.write_text(yaml.dump({**kept, "poll_seconds": 1}) + real, "utf-8")


def until_sent(command: str, folder: Path) -> str:
    """Ask for the status until every row was sent; it says so before that with another code."""
    deadline = time.monotonic() + 120
    while True:
        try:
            told = run(command, folder, ROOT)
        except AssertionError:
            told = ""
        sent = [line.split("\t") for line in told.splitlines() if line.startswith("u8-pc\t")]
        if sent and all(row[3] == str(len(BOOKS[row[1]])) and row[4] == "0" for row in sent):
            return told
        assert time.monotonic() < deadline, told
        time.sleep(0.5)

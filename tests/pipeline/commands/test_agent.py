"""`nplusx agent` and `nplusx connector` as a person runs them."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bus.kafka import KafkaBus
from bus.memory import MemoryBus
from bus.topics import topic_of
from connectors.config import load_agent
from connectors.pseudonyms import read_key
from connectors.registry import FOLDER, all_connectors, find
from kernel import clock
from kernel.evidence import SigningKey
from kernel.ids import ContractId, Stream
from pipeline.publish import Agent
from pipeline.rounds import read_status, write_status
from pipeline.settings import ROOT, read_settings
from tests.broker import Broker, running_broker
from tests.flow.bad_input.command import Shell
from tests.pipeline.site import USCC, Site
from tests.pipeline.test_publish import one_round

_RUN = (sys.executable, "-W", "ignore", "-m", "pipeline.cli", "agent", "run")


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path, shell: Shell) -> None:
    path = tmp_path / "a.key"
    made = shell("agent", "key", str(path))
    assert made.code == 0, made.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = SigningKey.from_text(path.read_text(), str(path))
    assert key.public.id in made.out
    assert key.text not in made.out
    again = shell("agent", "key", str(path))
    assert again.code == 2
    assert "never replaced" in again.err
    assert shell("agent", "key", str(tmp_path / "no" / "a.key")).code == 2


@pytest.mark.parametrize("preset", all_connectors())
def test_an_agent_that_is_set_up_is_a_file_to_be_completed(
    preset: str, tmp_path: Path, shell: Shell
) -> None:
    folder = tmp_path / "agent"
    words = ("agent", "init", str(folder), "--id", "pc-1", "--enterprise", USCC)
    made = shell(*words, "--preset", preset)
    assert made.code == 0, made.err
    config = load_agent(folder / "agent.yaml")
    assert (config.id, config.enterprise, config.sources[0].preset) == ("pc-1", USCC, preset)
    assert config.pseudonym_key is not None
    for path in (config.key_file, config.pseudonym_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text().strip() not in made.out
    assert read_key(config.pseudonym_key).raw
    assert sorted(each.name for each in folder.iterdir()) == [
        "agent.key", "agent.key.pub", "agent.yaml", "names.key",
    ]  # fmt: skip
    again = shell(*words, "--preset", preset)
    assert again.code == 2
    assert "does not exist yet" in again.err


def test_what_is_set_up_for_a_preset_of_ones_own_can_run(tmp_path: Path, shell: Shell) -> None:
    own = tmp_path / "涂装.yaml"
    shutil.copy(FOLDER / "yonyou_u8.yaml", own)
    words = ("--enterprise", USCC, "--preset", str(own))
    refused = shell("agent", "init", str(tmp_path / "a"), "--id", "PC 1", *words)
    assert refused.code == 2
    assert "small letters" in refused.err
    assert not (tmp_path / "a").exists()
    assert shell("agent", "init", str(tmp_path / "a"), "--id", "pc-1", *words).code == 0
    config = load_agent(tmp_path / "a" / "agent.yaml")
    assert Stream(config.enterprise, config.id, config.sources[0].id, ContractId("a.b.v1"))


def test_the_list_names_presets_and_contracts(shell: Shell) -> None:
    listed = shell("connector", "list")
    assert listed.code == 0, listed.err
    assert "用友 U8+" in listed.out
    assert "documented, not seen live" in listed.out
    assert "erp.ledger_entry.v1" in listed.out


def test_a_check_names_what_is_wrong_with_a_source(site: Site, shell: Shell) -> None:
    site.fill(2)
    assert shell("connector", "check", str(site.file)).code == 0
    site.rename_table("acceptance", "elsewhere")
    checked = shell("connector", "check", str(site.file))
    assert checked.code == 1
    assert "no such table" in checked.out
    site.file.write_text("agent: 1\n", "utf-8")
    assert shell("connector", "check", str(site.file)).code == 2


def test_the_status_says_never_before_the_first_round(site: Site, shell: Shell) -> None:
    told = shell("agent", "status")
    assert told.code == 1
    assert "never made a round" in told.err


def test_the_status_says_when_no_round_ends_any_more(site: Site, shell: Shell) -> None:
    bus = MemoryBus()
    bus.ensure_topics([topic_of(plan.contract) for plan in find("nplusx_registry").streams])
    report = one_round(site.config, bus)
    assert shell("agent", "status").code == 0
    write_status(site.config, replace(report, finished_at=clock.now() - timedelta(hours=1)))
    told = shell("agent", "status")
    assert told.code == 1
    assert "has ended no round since" in told.err
    assert "nplusx agent run" in told.err


def test_the_status_tells_the_clocks_of_sources(site: Site, shell: Shell) -> None:
    assert one_round(site.config, MemoryBus()).clocks
    assert "clock 时钟 registry: The database is a file" in shell("agent", "status").out


def test_a_backfill_reads_one_stream_again_and_needs_the_agent_at_rest(
    site: Site, shell: Shell
) -> None:
    bus = MemoryBus()
    lines = "retrofit.invoice_line.v1"
    bus.ensure_topics([topic_of(plan.contract) for plan in find("nplusx_registry").streams])
    site.fill(5)
    assert [each.rows_read for each in one_round(site.config, bus).streams][1] == 5
    assert [each.rows_read for each in one_round(site.config, bus).streams][1] == 0
    with closing(Agent(site.config, bus, read_settings())):
        held = shell("agent", "backfill", str(site.file))
    assert held.code == 4
    assert "stop the other agent" in held.err
    strange = shell("agent", "backfill", str(site.file), "--contract", "erp.payment.v1")
    assert strange.code == 2
    assert "reads no erp.payment.v1" in strange.err
    done = shell("agent", "backfill", str(site.file), "--contract", lines)
    assert (done.code, done.out.count("from its beginning")) == (0, 1)
    report = one_round(site.config, bus)
    assert [each.rows_read for each in report.streams][1] == 5
    # The same rows under new numbers: nothing is taken for a repeat, and none is missing.
    assert [each.batches_ever for each in report.streams][1] == 2


def test_who_is_told_twice_to_stop_waits_for_no_source_that_hangs(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://reader@127.0.0.1:{silent.getsockname()[1]}/erp"
        said = site.file.read_text("utf-8").replace(f"sqlite:///{site.database}", url)
        site.file.write_text(said, "utf-8")
        agent = subprocess.Popen([*_RUN, str(site.file)], cwd=ROOT)
        silent.settimeout(60)
        # It asks, and hears nothing.
        wire, _ = silent.accept()
        with wire:
            # Those of a kind that come together are one.
            for _ in range(5):
                agent.send_signal(signal.SIGTERM)
                time.sleep(0.1)
            assert agent.wait(60) == -signal.SIGTERM


@pytest.mark.kafka
class TestRun:
    """The resident agent, a process of its own, against a real broker."""

    @pytest.fixture
    def broker(self, tmp_path: Path) -> Iterator[Broker]:
        with running_broker(tmp_path) as started:
            yield started

    def start(self, site: Site, broker: Broker) -> "subprocess.Popen[bytes]":
        variables = {**os.environ, "NPLUSX_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap}
        return subprocess.Popen([*_RUN, str(site.file)], cwd=ROOT, env=variables)

    def until(self, site: Site, rows: int) -> None:
        deadline = clock.monotonic() + 60
        while clock.monotonic() < deadline:
            status = read_status(load_agent(site.file))
            if status and status.is_clean and status.streams[1].rows_ever == rows:
                return
            clock.sleep(0.1)
        raise AssertionError(f"no clean round with {rows} rows: {status}")

    def test_broker_and_agent_are_killed_and_nothing_is_lost(
        self, site: Site, broker: Broker, shell: Shell
    ) -> None:
        bus = KafkaBus(broker.bootstrap, 2, 1, 15.0)
        topics = [topic_of(plan.contract) for plan in find("nplusx_registry").streams]
        bus.ensure_topics(topics)
        # An idle connection of kafka-python to a broker that dies leaks sockets while it retries.
        bus.close()
        site.fill(25)
        agent = self.start(site, broker)
        self.until(site, 25)
        broker.stop()
        site.fill(10, start=25)
        agent.kill()
        agent.wait(10)
        agent = self.start(site, broker)
        broker.start()
        self.until(site, 35)
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(20) == 0
        assert shell("agent", "status", str(site.file)).code == 0
        # The outbox is free again, and its numbers stand for what the broker holds.
        report = one_round(load_agent(site.file), bus)
        ends = bus.extents([topics[1]])[topics[1]].spans
        assert sum(end for _, end in ends.values()) >= report.streams[1].batches_ever
        bus.close()

"""The stack really starts, survives kills, and leaves nothing."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel.errors import ConfigurationError, DependencyUnavailableError
from pipeline.settings import ROOT
from pipeline.stack import health, processes
from pipeline.stack.embedded import AIRFLOW, COUNTY, Stack
from pipeline.stack.layout import Layout
from tests.broker import free_port

pytestmark = [pytest.mark.kafka, pytest.mark.real_system]
LIGHT = ("kafka", COUNTY)
Build = Callable[[Path], Stack]


def until(true: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)


def running(stack: Stack) -> dict[str, int]:
    return {each.name: each.pid for each in stack.status() if each.is_running}


def supervisor_pid(state: Path) -> int:
    return int(Layout(state).pid_file.read_text("utf-8"))


def test_up_is_idempotent_survives_a_kill_and_down_leaves_nothing(state, stack_at):
    stack = stack_at(state)
    stack.up(LIGHT)
    # What has not lived for a while yet still counts as starting.
    until(lambda: set(running(stack)) == set(LIGHT))
    before = running(stack)
    reach = json.loads(Layout(state).county_sources.read_bytes())
    assert "yonyou_u8" in {each["source"]["preset"] for each in reach}
    stack.up(LIGHT)
    assert running(stack) == before, "a second up must not restart anything"

    os.kill(stack.pid("kafka"), signal.SIGKILL)
    until(lambda: running(stack).get("kafka", before["kafka"]) != before["kafka"])
    stack.up(LIGHT)
    assert running(stack)[COUNTY] == before[COUNTY]

    stack.down()
    assert processes.marked(state) == []
    assert stack.status() == ()
    stack.down()


def test_a_killed_supervisor_leaves_orphans_that_down_and_up_end(state, stack_at):
    stack = stack_at(state)
    stack.up(LIGHT)
    orphan = stack.pid("kafka")
    os.kill(supervisor_pid(state), signal.SIGKILL)
    until(lambda: stack.status() == ())
    assert orphan in {each.pid for each in processes.marked(state)}
    stack.up(LIGHT)
    assert orphan not in {each.pid for each in processes.marked(state)}
    os.kill(supervisor_pid(state), signal.SIGKILL)
    stack.down(purge=True)
    assert processes.marked(state) == []
    assert not state.exists()


def test_two_stacks_live_side_by_side(state, stack_at):
    # So deep a folder needs a socket elsewhere.
    deep = state / ("a" * 60) / ("b" * 60)
    for folder in (deep, *deep.parents):
        if folder.is_relative_to(state):
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    one, two = stack_at(state / "one"), stack_at(deep / "two")
    one.up(("kafka",))
    two.up(("kafka",))
    one.down()
    assert running(one) == {}
    assert set(running(two)) == {"kafka"}
    elsewhere = Layout(deep / "two").socket.parent
    assert not elsewhere.is_relative_to(state)
    two.down()
    assert not elsewhere.exists()


def test_a_taken_port_names_its_setting_and_starts_nothing(state, settings_at):
    settings = settings_at(state)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.kafka.port))
        taken.listen()
        with pytest.raises(ConfigurationError, match="NPLUSX_KAFKA_PORT") as told:
            Stack(settings).up(LIGHT)
    assert str(os.getpid()) in str(told.value)
    assert processes.marked(state) == []


def test_a_taken_controller_port_is_replaced(state, settings_at):
    settings = settings_at(state)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.kafka.controller_port))
        taken.listen()
        stack = Stack(settings)
        try:
            stack.up(("kafka",))
            assert set(running(stack)) == {"kafka"}
        finally:
            stack.down()


def test_a_program_that_cannot_live_is_reported_with_its_last_words(state, stack_at):
    stack = stack_at(state)
    stack.up((COUNTY,))
    stack.down()
    (state / "county/servers/postgres/data/PG_VERSION").write_text("9\n", "utf-8")
    with pytest.raises(DependencyUnavailableError, match=r"county.*PG_VERSION|county.*version"):
        stack.up((COUNTY,))
    assert processes.marked(state) == []


@pytest.mark.airflow
def test_airflow_gets_well_survives_a_killed_scheduler_and_is_gone(state, stack_at):
    stack = stack_at(state)
    stack.up(AIRFLOW)
    assert set(running(stack)) == set(AIRFLOW)
    everybody = {each.pid for each in processes.marked(state)}
    killed = stack.pid("airflow-scheduler")
    workers = {each.pid for each in processes.marked(state, "airflow-scheduler")} - {killed}
    os.kill(killed, signal.SIGKILL)
    until(lambda: running(stack).get("airflow-scheduler", killed) != killed)
    stack.up(AIRFLOW)
    left = {each.pid for each in processes.marked(state)}
    assert workers
    assert not workers & left, "workers of a killed scheduler must not linger"
    assert everybody & left
    stack.down()
    assert processes.marked(state) == []


def test_health_of_a_silent_port_is_told_not_raised(state, stack_at):
    stack = stack_at(state)
    stack.up(("kafka",))
    found = stack._supervisor.states()[0]
    assert health.ailment(found, stack._layout, stack._ports()) == ""
    os.kill(found.pid, signal.SIGSTOP)
    try:
        assert "does not" in health.ailment(found, stack._layout, stack._ports())
    finally:
        os.kill(found.pid, signal.SIGCONT)


FOREGROUND = """
import sys, time
from pathlib import Path
from pipeline.settings import KafkaSettings, Settings, StateSettings
from pipeline.stack.embedded import Stack
kafka = KafkaSettings(port=int(sys.argv[2]), controller_port=int(sys.argv[3]), heap_mb=256)
stack = Stack(Settings(state=StateSettings(dir=Path(sys.argv[1])), kafka=kafka))
with stack.foreground():
    stack.up(("kafka",))
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def occupied(state: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a stack in another process, as a demo does, for as long as the test lasts."""
    command = [sys.executable, "-c", FOREGROUND, str(state), str(free_port()), str(free_port())]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.send_signal(signal.SIGINT)
        process.wait(60)


def test_a_second_start_in_the_folder_of_a_demo_leaves_the_first_alone(
    state, settings_at, occupied
):
    second = Stack(settings_at(state))
    before = running(second)
    assert set(before) == {"kafka"}
    known = rf"process {occupied.pid}.*portal \d+.*`nplusx down`"
    with pytest.raises(ConfigurationError, match=known), second.foreground():
        raise AssertionError("the block of a refused start must not run")
    # Its other ports would have started the first one's programs anew.
    with pytest.raises(ConfigurationError, match=known):
        second.up(("kafka",))
    assert occupied.poll() is None
    assert running(second) == before


def test_a_demo_does_not_take_over_what_up_started(state, stack_at):
    first = stack_at(state)
    first.up(("kafka",))
    before = running(first)
    supervisor = supervisor_pid(state)
    with (
        pytest.raises(ConfigurationError, match=rf"process {supervisor}.*`nplusx down`"),
        Stack(first._settings).foreground(),
    ):
        raise AssertionError("the block of a refused start must not run")
    assert running(first) == before


def test_after_a_killed_demo_down_clears_the_way(state, settings_at, occupied):
    occupied.kill()
    occupied.wait(10)
    stack = Stack(settings_at(state))
    with pytest.raises(ConfigurationError, match="`nplusx down`"), stack.foreground():
        raise AssertionError("the block of a refused start must not run")
    stack.down()
    with stack.foreground():
        stack.up(("kafka",))
        assert set(running(stack)) == {"kafka"}
    assert processes.marked(state) == []


def test_down_ends_a_demo_too(state, settings_at, occupied):
    Stack(settings_at(state)).down(purge=True)
    assert occupied.wait(30) != 0
    assert processes.marked(state) == []
    assert not state.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_foreground_command_that_is_told_to_stop_leaves_nothing(state, number):
    command = [sys.executable, "-c", FOREGROUND, str(state), str(free_port()), str(free_port())]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        assert processes.marked(state)
        process.send_signal(number)
        process.send_signal(number)
        process.wait(60)
    assert processes.marked(state) == []

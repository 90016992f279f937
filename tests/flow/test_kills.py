"""Killed land task, broker, scheduler and agent: the same tables, the same decision."""

import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from pipeline.stack.embedded import Stack
from tests.flow.outcome import decision, tables
from tests.flow.stage import PLAYED, Demo

pytestmark = [pytest.mark.kafka, pytest.mark.airflow, pytest.mark.real_system]
# Each kills one land task, once, at that place.
CRASHES = ("land.before_write", "land.before_commit", "land.after_commit", "publish.after_send")


@pytest.fixture(scope="module")
def killed() -> Iterator[Demo]:
    made = Demo()
    crashes = made.base / "crashes"
    crashes.mkdir()
    for point in CRASHES:
        (crashes / point).touch()
    made.environment["NPLUSX_CRASH_DIR"] = str(crashes)
    made.start()
    try:
        made.wait_for("the factory's ERP holds", 200)
        for program in ("kafka", "airflow-scheduler"):
            _kill(made, program)
        made.wait_for(PLAYED, 500)
        yield made
    finally:
        made.clear()


def _kill(demo: Demo, program: str) -> None:
    """Kill a program as the kernel would, and see that it comes back as another process."""
    stack = Stack(demo.settings())
    before = stack.pid(program)
    psutil.Process(before).send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 90
    while True:
        now = [each for each in stack.status() if each.name == program and each.is_running]
        if now and now[0].pid != before:
            return
        assert time.monotonic() < deadline, f"{program} did not come back"
        time.sleep(0.2)


def test_every_armed_crash_happened(killed: Demo) -> None:
    assert list((killed.base / "crashes").iterdir()) == []


def test_the_tables_are_those_of_the_quiet_run(killed: Demo, demo: Demo) -> None:
    quiet, loud = tables(demo.settings()), tables(killed.settings())
    assert quiet.keys() == loud.keys()
    for name, rows in quiet.items():
        assert loud[name] == rows, f"{name} differs"


def test_the_decision_is_that_of_the_quiet_run(killed: Demo, demo: Demo) -> None:
    assert decision(killed.settings()) == decision(demo.settings())


def test_the_doctor_finds_nothing_unexplained(killed: Demo) -> None:
    done = killed.run("doctor")
    assert done.returncode == 0, done.stderr

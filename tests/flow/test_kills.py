"""Killed land task, broker, scheduler and agent: the same tables, the same decision."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psutil
import pytest

from pipeline import wiring
from pipeline.stack.embedded import Stack
from tests.flow.outcome import decision, tables
from tests.flow.stage import PLAYED, Demo
from warehouse import attempts

pytestmark = [pytest.mark.kafka, pytest.mark.airflow, pytest.mark.real_system]
# Each kills one land task, once, at that place.
CRASHES = (
    "land.before_write", "land.between_writes", "land.before_commit", "land.after_commit",
    "publish.after_send",
)  # fmt: skip


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
        with _rival(made):
            _await_first_rows(made)
            for program in ("kafka", "airflow-scheduler"):
                _kill(made, program)
            made.wait_for(PLAYED, 900)
        yield made
    finally:
        made.clear()


def _await_first_rows(demo: Demo) -> None:
    """Wait until something is landed and, so early, much is not."""
    store = wiring.store(demo.settings())
    deadline = time.monotonic() + 200
    while not attempts.decided(store):
        assert time.monotonic() < deadline, f"nothing was landed:\n{demo.said()}"
        time.sleep(0.1)


@contextmanager
def _rival(demo: Demo) -> Iterator[None]:
    """Land by hand, again and again, beside the scheduler's tasks, once those have been killed."""
    # The same tables and broker, but none of the crash points: those are the scheduler's.
    rival = Demo(demo.base)
    rival.environment = {k: v for k, v in demo.environment.items() if k != "NPLUSX_CRASH_DIR"}
    done = Event()
    codes: list[int] = []

    def work() -> None:
        while any((demo.base / "crashes").glob("land.*")) and not done.wait(0.2):
            continue
        while not done.is_set():
            codes.append(rival.run("land").returncode)

    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(300)
    # It may meet planted bad rows (3), and the broker while it is dead (4).
    assert set(codes) <= {0, 3, 4}


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

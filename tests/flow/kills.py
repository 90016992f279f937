"""Makes a demo hard: crash points armed, programs killed, a lander racing beside it."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psutil

from pipeline import wiring
from pipeline.stack.embedded import Stack
from tests.flow.stage import Demo
from warehouse import attempts

# Each kills one land task, once, at that place.
CRASHES = (
    "land.before_write", "land.between_writes", "land.before_commit", "land.after_commit",
    "publish.after_send",
)  # fmt: skip


def arm(demo: Demo) -> None:
    """Let the programs of a demo die at every crash point, once each."""
    crashes = demo.base / "crashes"
    crashes.mkdir()
    for point in CRASHES:
        (crashes / point).touch()
    demo.environment["NPLUSX_CRASH_DIR"] = str(crashes)


def left(demo: Demo) -> list[str]:
    """List the crash points at which nothing died."""
    return [each.name for each in (demo.base / "crashes").iterdir()]


def await_first_rows(demo: Demo) -> None:
    """Wait until something is landed and, so early, much is not."""
    store = wiring.store(demo.settings())
    deadline = time.monotonic() + 200
    while not attempts.decided(store):
        assert time.monotonic() < deadline, f"nothing was landed:\n{demo.said()}"
        time.sleep(0.1)


@contextmanager
def rival(demo: Demo) -> Iterator[None]:
    """Land by hand, again and again, beside the scheduler's tasks, once those have been killed."""
    # The same tables and broker, but none of the crash points: those are the scheduler's.
    rival = Demo(demo.base)
    rival.environment = {k: v for k, v in demo.environment.items() if k != "NPLUSX_CRASH_DIR"}
    done = Event()
    codes: list[int] = []

    def work() -> None:
        while any(each.startswith("land.") for each in left(demo)) and not done.wait(0.2):
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


def kill(demo: Demo, program: str) -> None:
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

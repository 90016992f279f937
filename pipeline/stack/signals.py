"""What a foreground command does with Ctrl-C, SIGTERM and a closed terminal."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedBySignal(KeyboardInterrupt):
    """Somebody asked this process to stop."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end a block the way Ctrl-C does, so that its clean-up runs."""
    with _handled(_raise):
        yield


@contextmanager
def deafened() -> Iterator[None]:
    """Let a block that stops things run to its end: a second Ctrl-C must not leave half."""
    with _handled(_ignore):
        yield


def _raise(number: int, _frame: FrameType | None) -> None:
    raise InterruptedBySignal(signal.Signals(number).name)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    return


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A signal that the caller chose to ignore, as nohup does, stays ignored.
    before = {
        number: signal.getsignal(number)
        for number in _STOPPING
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)

"""Calls what may never come back, and waits for it only so long: a server that hangs says nothing.

Its system still answers for it, so that no wire seems dead; and the libraries wait for ever.
"""

from collections.abc import Callable, Generator
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import ParamSpec, Self, TypeVar

# A server that is asked too much says so by then.
SILENT_SECONDS = 150
_T = TypeVar("_T")
_P = ParamSpec("_P")


class _Told(Future[_T]):
    """What a call gives, or raises."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, failed: BaseException | None, _trace: object) -> bool:
        if failed is not None:
            self.set_exception(failed)
        return True


class Caller:
    """Makes one call after the other until the last, in a thread that keeps no process alive."""

    def __init__(self) -> None:
        self._calls = SimpleQueue[Callable[[], None] | None]()
        self._is_stuck = False
        Thread(target=_make, args=(self._calls,), daemon=True).start()

    def begin(self, call: Callable[_P, _T], *args: _P.args, **words: _P.kwargs) -> "Future[_T]":
        """Make a call as soon as the one before is over."""
        told = _Told[_T]()

        def make() -> None:
            with told:
                told.set_result(call(*args, **words))

        self._calls.put(make)
        return told

    def hear(self, told: "Future[_T]") -> _T:
        """Wait for what a call gives."""
        try:
            return told.result(SILENT_SECONDS)
        except TimeoutError as late:
            if told.done():
                raise
            self._is_stuck = True
            raise TimeoutError(f"no answer within {SILENT_SECONDS} seconds") from late

    def call(self, call: Callable[_P, _T], *args: _P.args, **words: _P.kwargs) -> _T:
        """Make a call, and wait for what it gives."""
        return self.hear(self.begin(call, *args, **words))

    def end(self, call: Callable[[], object]) -> None:
        """Make the last call; where one before it hangs, nobody waits until it comes back."""
        told = self.begin(call)
        self._calls.put(None)
        if not self._is_stuck:
            self.hear(told)


def _make(calls: "SimpleQueue[Callable[[], None] | None]") -> None:
    while (call := calls.get()) is not None:
        call()
        # What it gave is not kept until the next.
        del call


def once(call: Callable[_P, _T], *args: _P.args, **words: _P.kwargs) -> _T:
    """Make a single call, and wait for what it gives."""
    caller = Caller()
    told = caller.begin(call, *args, **words)
    caller.end(lambda: None)
    return caller.hear(told)


def each(things: Generator[_T]) -> Generator[_T]:
    """Take one thing after the other."""
    caller = Caller()
    try:
        while (thing := caller.call(next, things, None)) is not None:
            yield thing
    finally:
        caller.end(things.close)

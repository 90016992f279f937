"""Calls what may never come back, and waits for it only so long: a server that hangs says nothing.

Its system still answers for it, so that no wire seems dead; and the libraries wait for ever.
"""

from collections.abc import Callable, Generator
from concurrent.futures import Future
from threading import Lock, Thread
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
    """Makes one call after the other, each in a thread that keeps no process from ending."""

    def __init__(self) -> None:
        self._turn, self._is_stuck = Lock(), False

    def begin(self, call: Callable[_P, _T], *args: _P.args, **words: _P.kwargs) -> "Future[_T]":
        """Make a call as soon as the one before is over."""
        told = _Told[_T]()

        def run() -> None:
            with told, self._turn:
                told.set_result(call(*args, **words))

        Thread(target=run, daemon=True).start()
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

    def each(self, things: Generator[_T]) -> Generator[_T]:
        """Take one thing after the other."""
        try:
            while (thing := self.call(next, things, None)) is not None:
                yield thing
        finally:
            self.end(things.close)

    def end(self, call: Callable[[], object]) -> None:
        """Make the last call; where one before it hangs, nobody waits until it comes back."""
        told = self.begin(call)
        if not self._is_stuck:
            self.hear(told)

"""Makes guessing passwords slow, and keeps a flood of guesses from taking all memory."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from kernel import clock

_TRIES, _WINDOW_SECONDS = 10, 300.0
_MOST_NAMES = 10_000
# A check takes 32 MiB and a tenth of a second of a core.
_AT_ONCE, _WAIT_SECONDS = 4, 2.0


class SlowedError(Exception):
    """Too many tries for a name, or too many at once."""


class Throttle:
    """Counts tries by user name; one for each process that serves the portal."""

    def __init__(self) -> None:
        self._tries: dict[str, deque[float]] = {}
        self._lock = Lock()
        self._room = BoundedSemaphore(_AT_ONCE)

    @contextmanager
    def trying(self, name: str) -> Iterator[None]:
        """Let one try happen; it counts before it is made, so that many at once count too."""
        if not self._room.acquire(timeout=_WAIT_SECONDS):
            raise SlowedError
        try:
            self._count(name)
            yield
        finally:
            self._room.release()

    def forget(self, name: str) -> None:
        """Forget the tries of a name that got in."""
        with self._lock:
            self._tries.pop(name, None)

    def _count(self, name: str) -> None:
        now = clock.monotonic()
        with self._lock:
            tries = self._tries.pop(name, deque())
            while tries and now - tries[0] > _WINDOW_SECONDS:
                tries.popleft()
            is_slowed = len(tries) >= _TRIES
            if not is_slowed:
                tries.append(now)
            # The names tried longest ago make room first.
            while len(self._tries) >= _MOST_NAMES:
                self._tries.pop(next(iter(self._tries)))
            self._tries[name] = tries
        if is_slowed:
            raise SlowedError

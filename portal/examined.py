"""One examination of all streams for everybody who looks within a moment."""

from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from kernel import clock
from pipeline.doctor import Health, examine
from pipeline.settings import Settings

_FRESH_SECONDS = 3.0
# An examination that takes long is repeated less often, so that looking never takes a whole core.
_REST = 4


@dataclass(frozen=True, slots=True)
class Look:
    """What was found, and when."""

    health: Health
    at: datetime
    fresh_until: float


class Examined:
    """Examines at most once at a time; who comes meanwhile gets what was found last."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._last: Look | None = None

    def look(self) -> Look:
        """Give the newest examination, made anew if it is old."""
        last = self._last
        if last is not None and clock.monotonic() < last.fresh_until:
            return last
        if last is not None and not self._lock.acquire(blocking=False):
            return last
        if last is None:
            self._lock.acquire()
        try:
            return self._anew(last)
        finally:
            self._lock.release()

    def _anew(self, last: Look | None) -> Look:
        if self._last is not None and self._last is not last:
            return self._last
        started, at = clock.monotonic(), clock.now()
        health = examine(self._settings)
        took = clock.monotonic() - started
        fresh_until = clock.monotonic() + max(_FRESH_SECONDS, _REST * took)
        self._last = Look(health, at, fresh_until)
        return self._last

"""Reads ahead: what the bus has ready comes off it while what came before is being judged."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from typing_extensions import override

from bus.ports import Polled, Reader

# So many polls are ahead at most; what each of them gives is bounded.
_POLLS = 3


class Ahead(Reader):
    """A reader that goes on by itself after a poll that gave records, until one gives none."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._ahead: deque[Future[Polled]] = deque()

    @override
    def poll(self, seconds: float) -> Polled:
        """Take what was read ahead, in order; else what arrives within that time."""
        found: Polled | None = None
        while self._ahead and not (found and found.runs):
            found = self._ahead.popleft().result()
        if found is None:
            found = self._reader.poll(seconds)
        while found.runs and len(self._ahead) < _POLLS:
            self._ahead.append(self._pool.submit(self._reader.poll, 0.0))
        return found

    @override
    def close(self) -> None:
        """Let go of the connection; what nobody took is read again another time."""
        self._pool.shutdown(cancel_futures=True)
        self._reader.close()

"""Records of one topic in steps of a bounded size, and the position after each step."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from threading import Event

from bus.envelope import claimed_rows
from bus.ports import Reader, Received, Source
from kernel import clock
from kernel.errors import DependencyUnavailableError
from pipeline.settings import LandSettings
from pipeline.standing import Standing
from warehouse.store import ConflictError

_EMPTY_POLL_SECONDS = 0.5


class Feed:
    """Reads on behind what was taken; what was read and does not fit a step waits for the next."""

    def __init__(
        self,
        reader: Reader,
        marks: Mapping[int, int],
        limits: LandSettings,
        stop: Event,
        require_same: Callable[[], None],
    ) -> None:
        self._reader, self._limits, self._stop = reader, limits, stop
        # To be asked before what was read is committed.
        self.require_same = require_same
        self._waiting: deque[Received] = deque()
        # Where the reader stands: behind markers and gaps too, for which no record comes.
        self._read_to = dict(marks)

    def take(self, at: Standing, *, live: bool) -> tuple[list[Received], dict[int, int]]:
        """Take records up to a step's size or age, and tell the positions behind them.

        Until the ends that were known; or live, what comes within a moment, which may be nothing.
        """
        patience = self._limits.follow_seconds if live else self._limits.commit_seconds
        records: list[Received] = []
        positions = dict(at.marks)
        rows, size, started = 0, 0, clock.monotonic()
        while True:
            while self._waiting and rows < self._limits.commit_rows:
                record = self._waiting.popleft()
                records.append(
                    record if record.topic == at.topic else record._replace(topic=at.topic)
                )
                positions[record.partition] = record.offset + 1
                rows += claimed_rows(record)
                size += record.size
                if size >= self._limits.commit_bytes:
                    break
            if self._waiting:
                break
            positions = dict(self._read_to)
            is_aged = clock.monotonic() - started > patience
            is_full = rows >= self._limits.commit_rows or size >= self._limits.commit_bytes
            if (is_aged and live) or (records and (is_aged or is_full)):
                break
            if self._stop.is_set() or (not live and _reached(positions, at.ends)):
                break
            polled = self._reader.poll(patience if live else _EMPTY_POLL_SECONDS)
            if not polled.records and not live:
                # Of another topic the ends that are waited for may never come.
                self.require_same()
            self._waiting.extend(polled.records)
            self._read_to = dict(polled.positions)
        return records, positions

    def give_back(
        self, records: Sequence[Received], positions: Mapping[int, int]
    ) -> dict[int, int]:
        """Take back the last records, too much for a step; tell the positions before them."""
        self._waiting.extendleft(reversed(records))
        first = {each.partition: each.offset for each in reversed(records)}
        return {**positions, **first}


@contextmanager
def reading(
    source: Source, topic: str, at: Standing, limits: LandSettings, stop: Event
) -> Iterator[Feed]:
    """Open a topic where its table stands; a topic that was made anew since is a ConflictError.

    Its offsets name other records than those that the table was compared with.
    """

    def require_same() -> None:
        if source.id_of(topic) != at.topic_id:
            raise ConflictError("the topic was deleted or made anew")

    try:
        with closing(source.reader(topic, at.marks)) as reader:
            require_same()
            yield Feed(reader, at.marks, limits, stop, require_same)
    except DependencyUnavailableError:
        require_same()
        raise


def _reached(positions: Mapping[int, int], ends: Mapping[int, int]) -> bool:
    return all(positions[part] >= end for part, end in ends.items())

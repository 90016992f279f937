"""Records of one topic in steps of a bounded size, and the position after each step."""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import accumulate
from threading import Event

from bus.envelope import claimed_rows
from bus.ports import Reader, Run, Source
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
        self._waiting: deque[Run] = deque()
        # Where the reader stands: behind markers and gaps too, for which no record comes.
        self._read_to = dict(marks)

    def take(self, at: Standing, *, live: bool) -> tuple[list[Run], dict[int, int]]:
        """Take records up to a step's size or age, and tell the positions behind them.

        Until the ends that were known; or live, what comes within a moment, which may be nothing.
        """
        patience = self._limits.follow_seconds if live else self._limits.commit_seconds
        runs: list[Run] = []
        positions = dict(at.marks)
        rows, room, started = self._limits.commit_rows, self._limits.commit_bytes, clock.monotonic()
        while True:
            while self._waiting and rows > 0 and room > 0:
                run = self._waiting.popleft()
                claims, sizes = claimed_rows(run), run.sizes
                count = min(_fitting(claims, rows), _fitting(sizes, room))
                if count < len(run):
                    self._waiting.appendleft(run.part(count))
                    run = run.part(0, count)
                runs.append(run if run.topic == at.topic else replace(run, topic=at.topic))
                positions[run.partition] = run.offsets[-1] + 1
                rows -= sum(claims[:count])
                room -= sum(sizes[:count])
            if self._waiting:
                break
            positions = dict(self._read_to)
            is_aged = clock.monotonic() - started > patience
            is_full = rows <= 0 or room <= 0
            if (is_aged and live) or (runs and (is_aged or is_full)):
                break
            if self._stop.is_set() or (not live and _reached(positions, at.ends)):
                break
            polled = self._reader.poll(patience if live else _EMPTY_POLL_SECONDS)
            if not polled.runs and not live:
                # Of another topic the ends that are waited for may never come.
                self.require_same()
            self._waiting.extend(polled.runs)
            self._read_to = dict(polled.positions)
        return runs, positions

    def give_back(
        self, runs: Iterable[Run], taken: int, positions: Mapping[int, int]
    ) -> dict[int, int]:
        """Take back records behind those taken, too much for a step; tell the positions before."""
        rest: list[Run] = []
        for run in runs:
            if taken < len(run):
                rest.append(run.part(taken))
            taken = max(0, taken - len(run))
        self._waiting.extendleft(reversed(rest))
        return {**positions, **{each.partition: each.offsets[0] for each in reversed(rest)}}


def _fitting(costs: Iterable[int], room: int) -> int:
    """Tell how many it takes to fill a room, if there are so many."""
    spent = list(accumulate(costs))
    return min(bisect_left(spent, room) + 1, len(spent))


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

"""Reading ahead: the same records in the same order, bounded, and trouble is told in its turn."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from bus.ahead import Ahead
from bus.ports import Polled, Received, runs_of


class Scripted:
    """Gives what it was told to give, then nothing."""

    def __init__(self, *script: int | Exception) -> None:
        self.script: Iterator[int | Exception] = iter(script)
        self.waits: list[float] = []
        self.is_closed, self._next = False, 0

    def poll(self, seconds: float) -> Polled:
        assert not self.is_closed
        self.waits.append(seconds)
        told = next(self.script, 0)
        if isinstance(told, Exception):
            raise told
        records = tuple(
            Received.of(
                ("t", 0, self._next + n), datetime(2024, 1, 1, tzinfo=UTC), b"", b"x" * 10, ()
            )
            for n in range(told)
        )
        self._next += told
        return Polled(runs_of(records), {0: self._next})

    def close(self) -> None:
        self.is_closed = True


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def offsets(ahead: Ahead, polls: int) -> list[list[int]]:
    return [[each.offset for each in ahead.poll(0).records] for _ in range(polls)]


def test_records_come_in_order_with_the_positions_behind_them() -> None:
    ahead = Ahead(Scripted(2, 1, 3, 2))
    found = [ahead.poll(0) for _ in range(4)]
    assert [[each.offset for each in one.records] for one in found] == [
        [0, 1], [2], [3, 4, 5], [6, 7],
    ]  # fmt: skip
    assert [one.positions[0] for one in found] == [2, 3, 6, 8]
    assert ahead.poll(0) == Polled((), {0: 8})


def test_it_reads_on_while_nobody_polls_but_only_so_far() -> None:
    reader = Scripted(*[1] * 100)
    ahead = Ahead(reader)
    ahead.poll(9.0)
    until(lambda: len(reader.waits) == 4)
    time.sleep(0.02)
    # Only who polls waits.
    assert reader.waits == [9.0, 0.0, 0.0, 0.0]
    assert offsets(ahead, 99) == [[n] for n in range(1, 100)]


def test_where_nothing_is_it_rests_until_it_is_polled() -> None:
    reader = Scripted(1, 0, 0, 0, 1)
    ahead = Ahead(reader)
    assert offsets(ahead, 2) == [[0], []]
    until(lambda: len(reader.waits) == 4)
    assert [each.offset for each in ahead.poll(5.0).records] == [1]
    assert reader.waits[4] == 5.0


def test_trouble_comes_after_what_was_read_before_it() -> None:
    ahead = Ahead(Scripted(1, 1, OSError("gone"), 1))
    assert offsets(ahead, 2) == [[0], [1]]
    with pytest.raises(OSError, match="gone"):
        ahead.poll(0)


def test_it_is_closed_in_the_middle_once_nobody_reads() -> None:
    reader = Scripted(*[1] * 1000)
    ahead = Ahead(reader)
    ahead.poll(0)
    ahead.close()
    assert reader.is_closed
    Ahead(Scripted()).close()

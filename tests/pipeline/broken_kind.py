"""A connector that is broken as its stream says; a clone of ours holds it among the kinds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from typing_extensions import override

from connectors.base import Connector, Offer, Page, Sample, Source, StreamPlan
from connectors.fields import Fields

EXAMPLE: dict[str, object] = {}
ROWS, PAGE = 20, 4
LEAK = 4 << 20


@dataclass(frozen=True, slots=True)
class BrokenStream:
    """How it is broken: behind which row it goes on instead, and what it never lets go."""

    slip: int
    leak: int


def stream_of(fields: Fields) -> BrokenStream:
    """Read what a preset says of a stream."""
    return BrokenStream(int(fields.text("slip")), int(fields.text("leak")))


def way_of(_fields: Fields) -> None:
    """Read nothing."""


def open_source(_source: Source[None]) -> "BrokenConnector":
    """Get ready."""
    return BrokenConnector()


class BrokenConnector(Connector[BrokenStream]):
    """Counts to twenty."""

    def __init__(self) -> None:
        self._at: str | None = None
        self._kept: list[bytes] = []

    @override
    def read(self, plan: StreamPlan[BrokenStream], cursor: str | None) -> Page:
        start = int(cursor or 0)
        if cursor is not None and cursor != self._at and start < ROWS:
            start = max(0, start + plan.how.slip)
        end = min(start + PAGE, ROWS)
        self._kept.append(b"x" * plan.how.leak)
        self._at = str(end)
        return Page(table(start, end) if end > start else None, self._at, end < ROWS)

    @override
    def sample(self, plan: StreamPlan[BrokenStream]) -> Sample:
        return Sample(table(0, 2))

    @override
    def discover(self) -> Iterator[Offer]:
        yield Offer("count", {"n": "int"}, {})

    @override
    def close(self) -> None:
        return


def table(start: int, end: int) -> pa.Table:
    at = datetime(2024, 3, 5, tzinfo=UTC)
    return pa.table({"n": [str(n) for n in range(start, end)], "moment": [at] * (end - start)})

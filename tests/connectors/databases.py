"""A table `thing` in real databases, and what a plan over it says."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from connectors.base import Source, StreamPlan
from connectors.kinds.sql import SqlConnector, SqlSource, SqlStream
from kernel.ids import ContractId, SourceId

MAPPING = "select id as key, note, cast(changed as timestamptz) as at, 'upsert' as _op from rows"
HOW = SqlStream("select id, note, changed from thing", "changed", ("id",))
PLAN = StreamPlan(ContractId("test.row.v1"), "1.0.0", MAPPING, HOW)
# As a source writes it: without a zone.
EARLY = datetime.fromisoformat("2024-03-01 08:00")
Run = Callable[..., None]


def keys(rows: list[dict[str, object]]) -> list[object]:
    """Give the keys of rows."""
    return [row["key"] for row in rows]


def source(url: str) -> Source[SqlSource]:
    return Source(SourceId("s"), "none", SqlSource(url))


class Database:
    """A table `thing` in a real database, and how to change it."""

    def __init__(self, url: str, run: Run, memory: Path) -> None:
        self.url, self._run, self.memory = url, run, memory

    def connector(self, **options: int) -> SqlConnector:
        way = SqlSource(self.url, **options)
        return SqlConnector(Source(SourceId("s"), "none", way, memory=self.memory))

    def put(self, key: str | None, note: str, changed: datetime | None) -> None:
        self._run(key, note, changed)

    def remove(self, key: str) -> None:
        self._run(key, None, None)

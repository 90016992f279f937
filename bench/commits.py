"""Many small commits: the last ones must not be slower than the first."""

from collections.abc import Iterator

from bench import tasks
from bench.measures import Measure, Size
from bench.platform import platform, send
from bench.rows import CONTRACT, arrow_record, batches

_ROWS = 1_000
_MOST_GROWTH = 1.5


def small(size: Size) -> Iterator[Measure]:
    """Land record by record, a commit each."""
    count = size.commits
    with platform() as settings:
        records = (
            arrow_record(table, number)
            for number, table in enumerate(batches(count * _ROWS, _ROWS), 1)
        )
        send(settings, records)
        told = tasks.run("commits", contract=CONTRACT.id, rows=_ROWS)
    ratio = float(str(told["last"])) / float(str(told["first"]))
    yield Measure(
        id="small_commits",
        value=round(float(str(told["last"])) * 1000, 1),
        unit="ms a commit, the last tenth",
        rows=count * _ROWS,
        goal="≤ 1.5 × the first tenth",
        met=ratio <= _MOST_GROWTH,
        ratio=round(ratio, 2),
        details=told,
    )

"""Landing against Spark, and against the bound of decoding and writing alone; large backlogs."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

import pyarrow as pa

from bench import peers, tasks
from bench.measures import Measure, Size, rate
from bench.platform import platform, send
from bench.promises import columns, promises
from bench.rows import BATCH_ROWS, CONTRACT, arrow_record, batches, json_record, json_rows
from bus.ports import Record
from bus.topics import topic_of

_RUNS = 5
# The first runs of Spark compile its plans; ours have next to nothing to warm.
_WARM = 2
_FILE_ROWS = 50_000
_MOST_MIB, _MOST_GROWTH = 1229, 2.1


def _warm(told: dict[str, object]) -> list[float]:
    """Give the seconds of the runs that count."""
    return tasks.seconds(told)[_WARM:]


def _arrow(rows: int) -> Iterator[Record]:
    for number, table in enumerate(batches(rows), 1):
        yield arrow_record(table, number)


def _json(rows: int) -> Iterator[Record]:
    for table in batches(rows):
        for row in json_rows(table):
            yield json_record(row)


def _landed(records: Iterable[Record], runs: int = _RUNS) -> dict[str, object]:
    with platform() as settings:
        send(settings, records)
        return tasks.run("land", contract=CONTRACT.id, runs=runs)


def _spark(rows: int, runs: int = _RUNS) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="nplusx-bench-") as place:
        folder = Path(place)
        (folder / "rows").mkdir()
        lines: list[bytes] = []
        for number, table in enumerate(batches(rows, _FILE_ROWS)):
            lines = json_rows(table)
            (folder / "rows" / f"{number:05}.json").write_bytes(b"\n".join(lines) + b"\n")
        job: dict[str, object] = {
            "jars": peers.spark_jars(),
            "columns": columns(CONTRACT),
            "promises": promises(CONTRACT),
            "rows": str(folder / "rows"),
            "out": str(folder / "out"),
            "runs": runs,
        }
        return peers.run("spark", job, folder)


def _against_spark(name: str, goal: float, records: Iterable[Record], rows: int) -> Measure:
    ours, theirs = _landed(records), _spark(rows)
    value, peer = rate(rows, _warm(ours)), rate(rows, _warm(theirs))
    return Measure(
        id=name,
        value=value,
        unit="rows/s",
        rows=rows,
        goal=f"≥ {goal} × Spark",
        met=value >= goal * peer,
        peer=f"Spark 4.1.1 local[2], warm, JSON files to Delta: {peer} rows/s",
        ratio=round(value / peer, 2),
        details={"ours": ours, "spark": theirs},
    )


def arrow_vs_spark(size: Size) -> Iterator[Measure]:
    """Signed Arrow batches through a broker on the same cores, against Spark on files."""
    rows = size.rows
    yield _against_spark("land_arrow_vs_spark", 3, _arrow(rows), rows)


def json_vs_spark(size: Size) -> Iterator[Measure]:
    """The same with records of one JSON row each, as a vendor without an agent sends them."""
    # A record a row: that many need no million to be seen.
    rows = size.rows // 5
    yield _against_spark("land_json_vs_spark", 1.3, _json(rows), rows)


def json_vs_others(size: Size) -> Iterator[Measure]:
    """The same rows by two tools that a team might take instead, promises checked in Python."""
    rows = size.rows // 10
    lines = [row for table in batches(rows) for row in json_rows(table)]
    rules = [
        {
            "column": column.name,
            "required": rule.required,
            "enum": [each.value for each in rule.enum],
            "minimum": rule.limits.minimum,
            "maximum": rule.limits.maximum,
            "max_length": rule.limits.max_length,
        }
        for column in CONTRACT.properties
        for rule in column.rules
    ]
    with platform() as settings, tempfile.TemporaryDirectory(prefix="nplusx-bench-") as place:
        folder = Path(place)
        (folder / "rows").mkdir()
        (folder / "rows" / "0.json").write_bytes(b"\n".join(lines) + b"\n")
        send(settings, map(json_record, lines))
        job = {
            "rules": rules,
            "rows": str(folder / "rows"),
            "out": str(folder / "out"),
            "bootstrap": settings.bootstrap_servers,
            "topic": topic_of(CONTRACT.id),
            "count": rows,
        }
        ours = tasks.run("land", contract=CONTRACT.id, runs=_RUNS)
        value = rate(rows, _warm(ours))
        for name, title in (("dlt", "dlt 1.31.0, files"), ("quix", "Quix Streams 3.28.1, Kafka")):
            theirs = peers.run(name, job, folder)
            peer = rate(rows, tasks.seconds(theirs))
            yield Measure(
                id=f"land_json_vs_{name}",
                value=value,
                unit="rows/s",
                rows=rows,
                goal="none",
                met=value >= peer,
                peer=f"{title} to Delta, promises checked row by row: {peer} rows/s",
                ratio=round(value / peer, 2),
                details={"ours": ours, name: theirs},
            )


def arrow_vs_bound(size: Size) -> Iterator[Measure]:
    """What the bus, the signatures, the gate, the lineage and the kept records cost."""
    rows = size.rows
    with platform() as settings, tempfile.TemporaryDirectory(prefix="nplusx-bench-") as place:
        bodies = [record.value for record in _arrow(rows)]
        kept = Path(place) / "bodies"
        schema = pa.schema([("body", pa.binary())])
        with pa.OSFile(str(kept), "wb") as file, pa.ipc.new_stream(file, schema) as out:
            out.write_table(pa.table({"body": bodies}, schema=schema))
        send(settings, _arrow(rows))
        batch = settings.land.commit_rows // BATCH_ROWS
        # By turns, so that whatever else the machine does meets both.
        turns = [
            (
                tasks.run("land", contract=CONTRACT.id, runs=_RUNS),
                tasks.run("bound", bodies=str(kept), runs=_RUNS, commit_batches=batch),
            )
            for _ in range(2)
        ]
        ours = [each for mine, _ in turns for each in _warm(mine)]
        bound = [each for _, least in turns for each in _warm(least)]
    value, peer = rate(rows, ours), rate(rows, bound)
    yield Measure(
        id="land_arrow_vs_bound",
        value=value,
        unit="rows/s",
        rows=rows,
        goal="≥ 0.6 of the bound",
        met=value >= 0.6 * peer,
        peer=f"decode and `write_deltalake` alone, one process: {peer} rows/s",
        ratio=round(value / peer, 2),
        details={"ours": turns[0][0], "bound": turns[0][1]},
    )


def backlog(size: Size) -> Iterator[Measure]:
    """A backlog, and twice as much of it: the memory of the larger, the time of both."""
    rows = size.backlog_rows
    with platform() as settings:
        send(settings, _arrow(rows // 2))
        half = tasks.run("land", contract=CONTRACT.id, runs=1)
        more = (
            arrow_record(table, number)
            for number, table in enumerate(batches(rows), 1)
            if number > rows // 2 // BATCH_ROWS
        )
        send(settings, more)
        whole = tasks.run("land", contract=CONTRACT.id, runs=1)
    peak = int(str(whole["peak_mib"]))
    growth = median(tasks.seconds(whole)) / median(tasks.seconds(half))
    details = {"half": half, "whole": whole}
    yield Measure(
        "backlog_rss", peak, "MiB", rows, "≤ 1229 MiB", peak <= _MOST_MIB, details=details
    )
    yield Measure(
        "backlog_growth",
        round(growth, 2),
        "time of twice the rows",
        rows,
        "≤ 2.1",
        growth <= _MOST_GROWTH,
        details=details,
    )

"""From a factory's PostgreSQL into an agent's outbox, against dlt and a Singer tap."""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from bench import peers, tasks
from bench.agents import agent_file, reading
from bench.measures import Measure, Size, rate
from bench.tables import PRESET, TABLE, database
from tests.connectors.machines.singer_taps import program

_RUNS = 3
_MOST_MIB = 300
# What dlt calls its fastest way, and the one next to it.
_BACKENDS = ("connectorx", "pyarrow")
_CHUNK_ROWS = 50_000
# A tap is slow: a part of the rows tells how much.
_TAP_SHARE = 20


def against_others(size: Size) -> Iterator[Measure]:
    """Read a table whole: keyset order, mapping, pseudonyms, digests, signatures, fsync."""
    rows = size.read_rows
    with database(rows) as address:
        # One after the other, so that an hour in which the machine is slow is so for all.
        ours, theirs = [], []
        for _ in range(_RUNS):
            ours.append(_ours(address, rows))
            theirs.append(_dlt(address, _BACKENDS[0]))
        other = _dlt(address, _BACKENDS[1])
        tap = _tap(address, rows // _TAP_SHARE)
    value = rate(rows, (second for each in ours for second in tasks.seconds(each)))
    best = max(
        rate(rows, (second for each in theirs for second in tasks.seconds(each))),
        rate(rows, tasks.seconds(other)),
    )
    singer = round(rows // _TAP_SHARE / tap)
    details = {"ours": ours[-1], "dlt": theirs, "dlt_pyarrow": other, "tap_seconds": tap}
    shown = {"value": value, "unit": "rows/s", "rows": rows, "details": details}
    yield Measure(
        id="sql_vs_dlt",
        goal="≥ 1.3 × the best dlt backend",
        met=value >= 1.3 * best,
        peer=f"dlt 1.31.0, {_BACKENDS[0]} or {_BACKENDS[1]}, to Parquet: {best} rows/s",
        ratio=round(value / best, 2),
        **shown,
    )
    yield Measure(
        id="sql_vs_singer",
        goal="≥ 10 × a Singer tap",
        met=value >= 10 * singer,
        peer=f"tap-postgres, its lines thrown away: {singer} rows/s",
        ratio=round(value / singer, 2),
        **shown,
    )
    peak = max(int(str(each["peak_mib"])) for each in ours)
    yield Measure(
        id="sql_rss", value=peak, unit="MiB", rows=rows, goal=f"≤ {_MOST_MIB} MiB",
        met=peak <= _MOST_MIB, details=details,
    )  # fmt: skip


def _ours(address: str, rows: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="nplusx-bench-") as place:
        folder = Path(place)
        file = agent_file(folder, PRESET, [reading(folder, address)])
        told = tasks.run("read", agent=str(file))
    if told["rows"] != rows:
        raise RuntimeError(f"{told['rows']} of {rows} rows were read")
    return told


def _dlt(address: str, backend: str) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="nplusx-bench-") as place:
        job: dict[str, object] = {
            "address": address.replace("postgresql:", "postgresql+psycopg2:"),
            "table": TABLE,
            "backend": backend,
            "chunk_rows": _CHUNK_ROWS,
            "out": f"{place}/out",
        }
        return peers.run("dlt_sql", job, Path(place))


def _tap(address: str, rows: int) -> float:
    """Let a tap write so many rows to nowhere; tell the seconds."""
    with tempfile.TemporaryDirectory(prefix="nplusx-bench-") as place:
        folder = Path(place)
        told = urlsplit(address)
        config = {
            "host": told.hostname, "port": told.port, "database": told.path[1:],
            "user": told.username, "password": told.password, "filter_schemas": ["public"],
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
        asked = [program("postgres"), "--config", folder / "config.json"]
        found = subprocess.run([*asked, "--discover"], check=True, capture_output=True).stdout
        catalog = json.loads(found)
        for stream in catalog["streams"]:
            stream["replication_method"] = "FULL_TABLE"
            for each in stream["metadata"]:
                each["metadata"]["selected"] = True
        (folder / "catalog.json").write_text(json.dumps(catalog), "utf-8")
        started = time.perf_counter()
        with subprocess.Popen(
            [*asked, "--catalog", folder / "catalog.json"], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as tap:  # fmt: skip
            given = 0
            for line in tap.stdout or ():
                given += b'"RECORD"' in line[:40]
                if given >= rows:
                    break
            took = time.perf_counter() - started
            tap.kill()
    if given < rows:
        raise RuntimeError(f"the tap gave {given} of {rows} rows")
    return took

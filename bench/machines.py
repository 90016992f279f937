"""Many machine values a second over OPC UA, across a server that dies and comes back."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from bench.agents import Running, agent_file
from bench.measures import Measure, Size
from bench.platform import platform, records
from bus.topics import topic_of
from pipeline import wiring
from pipeline.settings import ROOT, Settings
from tests.broker import free_port
from tests.connectors.machines.opcua_server import URI
from tests.connectors.machines.processes import Program, python

CONTRACT = "mes.equipment_state.v1"
# Each value of a counter is a row: none of them may be missing.
PRESET = """
title: {zh: 测速, en: Bench}
kind: opcua
proof: bench
streams:
- contract: mes.equipment_state.v1
  version: 1.2.0
  variables: ["*"]
  mapping: |
    select browse_path as equipment_code, time as started_at, value as state,
      'machine' as record_source, received_time as updated_at, _op
    from rows
"""
_MOST_PERCENT = 25.0
_PATIENCE_SECONDS = 120.0
# Long enough that values are missed, short enough that nobody waits.
_AWAY_SECONDS, _AFTER_SECONDS = 5.0, 5.0
# When it was, and what was counted.
Counted = Mapping[str, Sequence[tuple[float, int]]]


def items(size: Size) -> Iterator[Measure]:
    """Listen to counters that count once a second; kill their server in the middle."""
    with (
        platform() as settings,
        tempfile.TemporaryDirectory(prefix="nplusx-bench-") as place,
        closing(wiring.bus(settings)) as bus,
    ):
        folder, port = Path(place), free_port()
        bus.ensure_topics([topic_of(CONTRACT)])
        said = {"port": port, "count": size.items, "hertz": 1}
        server = Program(python("opcua_server.py", json.dumps(said)), port, folder / "server.log")
        server.start()
        file = agent_file(folder, PRESET, [_source(port)], poll_seconds=1)
        command = [sys.executable, "-m", "pipeline.cli", "agent", "run", file]
        log = folder / "agent.log"
        with (
            log.open("wb") as out,
            subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out) as process,
        ):
            _wait(settings, size.items, 1)
            running = Running(process.pid)
            started, busy = time.perf_counter(), running.cpu_seconds
            time.sleep(size.follow_seconds)
            share = 100 * (running.cpu_seconds - busy) / (time.perf_counter() - started)
            held = running.mebibytes("VmRSS")
            server.kill()
            time.sleep(_AWAY_SECONDS)
            server.start()
            _wait(settings, size.items, 2)
            time.sleep(_AFTER_SECONDS)
            process.terminate()
        server.kill()
        counted = _counted(settings)
        holes = log.read_text("utf-8").count("data are missing")
    missing = sum(_missing(each) for each in counted.values())
    twice = sum(len(run) - len(set(run)) for each in counted.values() for run in _runs(each))
    lives = {len(_runs(each)) for each in counted.values()}
    is_whole = not missing and not twice and holes and lives == {2} and len(counted) == size.items
    yield Measure(
        id="opcua_items",
        value=round(share, 1),
        unit="% of a core",
        rows=sum(map(len, counted.values())),
        goal=f"< {_MOST_PERCENT:.0f} % of a core, none lost but what is told as a hole",
        met=share < _MOST_PERCENT and bool(is_whole),
        details={
            "items": len(counted), "missing": missing, "twice": twice, "holes_told": holes,
            "lives_of_the_server": sorted(lives), "rss_mib": held,
        },
    )  # fmt: skip


def _source(port: int) -> dict[str, object]:
    machine = {"code": "load", "node": f"nsu={URI};s=Load"}
    return {"url": f"opc.tcp://127.0.0.1:{port}", "machines": [machine]}


def _wait(settings: Settings, items: int, lives: int) -> None:
    """Wait until every counter was heard in so many lives of its server."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        heard = _counted(settings).values()
        if sum(len(_runs(each)) >= lives for each in heard) == items:
            return
        if time.monotonic() > deadline:
            raise RuntimeError("not every item has been heard")
        time.sleep(1)


def _counted(settings: Settings) -> Counted:
    """Give what each counter said, in the order of the bus."""
    found: dict[str, list[tuple[float, int]]] = {}
    for each in records(settings, topic_of(CONTRACT)):
        rows = pa.ipc.open_stream(each.value).read_all()
        for row in rows.select(["equipment_code", "started_at", "state"]).to_pylist():
            told = row["started_at"].timestamp(), int(row["state"])
            found.setdefault(row["equipment_code"], []).append(told)
    return found


def _runs(counted: Sequence[tuple[float, int]]) -> list[list[int]]:
    """Part what was counted where a server was away: it counts once a second."""
    runs = [[counted[0][1]]]
    for (before, _), (at, value) in pairwise(counted):
        if at - before > _AWAY_SECONDS / 2:
            runs.append([])
        runs[-1].append(value)
    return runs


def _missing(counted: Sequence[tuple[float, int]]) -> int:
    """Tell how many numbers are left out while the server lived."""
    return sum(run[-1] - run[0] + 1 - len(set(run)) for run in _runs(counted))

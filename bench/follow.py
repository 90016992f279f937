"""How long a row takes from its producer to the table that is open to readers."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from bench.measures import Measure, Size
from bench.platform import platform
from bench.rows import AGENT, FACTORY, body, sealed
from bus.ports import Record
from bus.topics import topic_of
from contracts.loader import all_contracts
from contracts.model import Contract
from contracts.sample import valid_row
from kernel.ids import SourceId, Stream
from pipeline import wiring
from pipeline.settings import ROOT, Settings
from tests.rows import arrow_rows

_CONTRACTS = 10
_ROWS_A_SECOND = 20_000
_TICK = 0.1
_BATCH = int(_ROWS_A_SECOND * _TICK / _CONTRACTS)
_WARM_UP = 50
_HALF_SECONDS, _MOST_SECONDS = 1.0, 2.5
_PATIENCE_SECONDS = 120.0


def latency(size: Size) -> Iterator[Measure]:
    """Send twenty thousand rows a second over ten contracts while a follower lands them."""
    with platform() as settings:
        contracts = [
            each for each in all_contracts().values() if each.publisher.value == "factory"
        ][:_CONTRACTS]
        words = [word for each in contracts for word in ("--contract", each.id)]
        command = [sys.executable, "-m", "pipeline.cli", "land", "--follow", *words]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as follower:
            sent_at = _send(settings, contracts, _WARM_UP + int(size.follow_seconds / _TICK))
            delays = np.array(list(_delays(settings, contracts, sent_at)))
            follower.send_signal(signal.SIGTERM)
            follower.wait(60)
    half, most = (float(np.percentile(delays, each)) for each in (50, 99))
    yield Measure(
        id="follow_latency",
        value=round(half, 2),
        unit="s, the median",
        rows=len(delays) * _BATCH,
        goal="p50 ≤ 1 s, p99 ≤ 2.5 s",
        met=half <= _HALF_SECONDS and most <= _MOST_SECONDS,
        details={"p50": half, "p99": most, "longest": float(delays.max())},
    )


def _send(settings: Settings, contracts: Sequence[Contract], ticks: int) -> list[float]:
    """Send a batch of each contract every tick; tell when each tick's were handed over."""
    bodies = {
        each.id: body(arrow_rows(each, [valid_row(each, row) for row in range(_BATCH)]))
        for each in contracts
    }
    sent_at = []
    with closing(wiring.bus(settings)) as bus, closing(bus.sender()) as sender:
        bus.ensure_topics([topic_of(each.id) for each in contracts])
        due = time.time()
        for number in range(1, ticks + 1):
            records = [_record(each, bodies[each.id], number) for each in contracts]
            time.sleep(max(0.0, due - time.time()))
            due += _TICK
            sent_at.append(time.time())
            if set(sender.send(records)) - {""}:
                raise RuntimeError("the broker refused records")
    return sent_at


def _record(contract: Contract, arrow: bytes, number: int) -> Record:
    stream = Stream(FACTORY, AGENT, SourceId("mes"), contract.id)
    return sealed(arrow, _BATCH, number, stream, contract.version)


def _delays(
    settings: Settings, contracts: Sequence[Contract], sent_at: Sequence[float]
) -> Iterator[float]:
    """Compare when each record was sent with when the commit that landed it could be read."""
    deadline = time.time() + _PATIENCE_SECONDS
    for contract in contracts:
        while len(found := _landed(settings, contract)) < len(sent_at):
            if time.time() > deadline:
                raise RuntimeError(f"{contract.id} was not landed in time")
            time.sleep(0.2)
        for place, at in found.items():
            if place >= _WARM_UP:
                yield at - sent_at[place]


def _landed(settings: Settings, contract: Contract) -> Mapping[int, float]:
    """Tell of each offset when the commit that landed it appeared."""
    store = wiring.store(settings)
    if not store.exists(contract.table):
        return {}
    log = Path(settings.lake_uri) / contract.table / "_delta_log"
    return {
        offset: (log / f"{commit.version:020}.json").stat().st_mtime
        for commit in store.open(contract.table).commits()
        if isinstance(spans := commit.facts.get("offsets"), dict)
        for first, end in spans.values()
        for offset in range(first, end)
    }

"""An agent as a factory has it, at rest: its memory, and what many quiet streams cost."""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from adbc_driver_postgresql import dbapi

from bench.agents import POLL_SECONDS, Running, agent_file, reading
from bench.measures import Measure, Size
from bench.platform import platform
from bench.tables import PRESET, database
from bus.topics import topic_of
from connectors.config import load_agent
from connectors.registry import read_preset
from contracts.loader import all_contracts
from contracts.model import Contract
from contracts.sample import valid_row
from kernel import yaml
from pipeline import wiring
from pipeline.rounds import RoundReport, read_status
from pipeline.settings import Settings
from tests.edge import install
from tests.rows import arrow_rows

_MOST_MIB, _MOST_PERCENT = 220, 3.0
_STREAMS, _SOURCES = 200, 10
_FEW_ROWS = 20
_PATIENCE_SECONDS = 300.0


def idle(size: Size) -> Iterator[Measure]:
    """Let an agent carry a wide table to the brokers, and look at it when nothing is left to do."""
    with (
        platform() as settings,
        database(size.rows) as address,
        _agent(settings, PRESET, [address]) as (running, first),
    ):
        time.sleep(size.follow_seconds)
        held, peak = (running.mebibytes(each) for each in ("VmRSS", "VmHWM"))
    yield Measure(
        id="agent_idle",
        value=held,
        unit="MiB resident",
        rows=sum(each.rows_ever for each in first.streams),
        goal=f"≤ {_MOST_MIB} MiB",
        met=held <= _MOST_MIB,
        details={"peak_mib": peak},
    )


def many_streams(size: Size) -> Iterator[Measure]:
    """Let an agent look after many streams of which none has news."""
    chosen = [each for each in all_contracts().values() if _is_dated(each)]
    chosen = chosen[: _STREAMS // _SOURCES]
    with platform() as settings, database(1) as address:
        _fill(address, chosen)
        with _agent(settings, _preset(chosen), [address] * _SOURCES) as (running, first):
            time.sleep(POLL_SECONDS / 2)
            started, busy = time.perf_counter(), running.cpu_seconds
            # From between two rounds to between two rounds.
            time.sleep(max(1, size.follow_seconds // POLL_SECONDS) * POLL_SECONDS)
            spent = time.perf_counter() - started
            share = 100 * (running.cpu_seconds - busy) / spent
            held = running.mebibytes("VmRSS")
    yield Measure(
        id="agent_200_streams",
        value=round(share, 2),
        unit="% of a core",
        rows=sum(each.rows_ever for each in first.streams),
        goal=f"≤ {_MOST_PERCENT:.0f} % of a core",
        met=share <= _MOST_PERCENT,
        details={"streams": len(first.streams), "seconds": round(spent, 1), "rss_mib": held},
    )


def _is_dated(contract: Contract) -> bool:
    return contract.publisher.value == "factory" and any(
        each.name == "updated_at" for each in contract.properties
    )


def _preset(contracts: Sequence[Contract]) -> str:
    streams = [
        {
            "contract": each.id, "version": each.version, "query": f"table {_table(each)}",
            "updated": "updated_at", "keys": list(each.key), "mapping": "select * from rows",
        }
        for each in contracts
    ]  # fmt: skip
    title = {"zh": "测速", "en": "Bench"}
    return yaml.dump({"title": title, "kind": "sql", "proof": "bench", "streams": streams})


def _table(contract: Contract) -> str:
    return contract.id.replace(".", "_")


def _fill(address: str, contracts: Sequence[Contract]) -> None:
    """Give each contract a table with a few rows, which change one a day."""
    with dbapi.connect(address) as connection, connection.cursor() as cursor:
        for each in contracts:
            days = (datetime(2024, 6, day, tzinfo=UTC) for day in range(1, _FEW_ROWS + 1))
            rows = [{**valid_row(each, n), "updated_at": day} for n, day in enumerate(days)]
            cursor.adbc_ingest(_table(each), arrow_rows(each, rows))
        connection.commit()


@contextmanager
def _agent(
    settings: Settings, preset: str, addresses: Sequence[str]
) -> Iterator[tuple[Running, RoundReport]]:
    """Run an agent from an installation of its own until all is sent; tell how its round went."""
    with tempfile.TemporaryDirectory(prefix="nplusx-edge-") as place:
        folder = Path(place)
        file = agent_file(folder, preset, [reading(folder, each) for each in addresses])
        contracts = {each.contract for each in read_preset(folder / "own.yaml").streams}
        with closing(wiring.bus(settings)) as bus:
            bus.ensure_topics([topic_of(each) for each in contracts])
        command = [install(folder) / "bin" / "nplusx", "agent", "run", file]
        with subprocess.Popen(command, cwd=folder) as process:
            try:
                yield Running(process.pid), _first_load(file)
            finally:
                process.terminate()


def _first_load(file: Path) -> RoundReport:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        report = read_status(load_agent(file))
        if report and not any(each.pending or not each.rows_ever for each in report.streams):
            return report
        time.sleep(0.2)
    raise RuntimeError("the agent did not send what there is")

"""What is measured, each in a process of its own: seconds, processor seconds, peak memory."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from typing_extensions import override

from bus.ports import Sender, WayOut
from kernel.errors import DependencyUnavailableError
from pipeline import memory
from pipeline.settings import ROOT

if TYPE_CHECKING:
    from pipeline.publish import Agent


def run(task: str, **words: object) -> dict[str, object]:
    """Run a task in a fresh process; give what it tells."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.tasks", task, json.dumps(words)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


def seconds(told: dict[str, object]) -> list[float]:
    """Give the seconds of each run that a task or a peer told."""
    found = told["seconds"]
    if not isinstance(found, list):
        raise TypeError(found)
    return found


def land(contract: str, runs: int) -> dict[str, object]:
    """Land all that the bus holds of a contract, each time into tables of its own."""
    from pipeline.land import land as landing

    state = os.environ["NPLUSX_STATE_DIR"]
    took: list[float] = []
    facts: dict[str, object] = {}
    for number in range(runs):
        os.environ["NPLUSX_LAKE_URI"] = f"{state}/lake-{os.getpid()}-{number}"
        started = time.perf_counter()
        facts = landing(contract)
        took.append(time.perf_counter() - started)
    return {"seconds": took, "facts": facts}


def commits(contract: str, rows: int) -> dict[str, object]:
    """Land with a commit for every so many rows; compare the first tenth with the last."""
    from pipeline.land import land as landing

    os.environ["NPLUSX_LAND_COMMIT_ROWS"] = str(rows)
    moments = [time.perf_counter()]
    landing(contract, lambda _: moments.append(time.perf_counter()))
    gaps = [after - before for before, after in pairwise(moments)]
    tenth = max(1, len(gaps) // 10)
    return {"commits": len(gaps), "first": median(gaps[:tenth]), "last": median(gaps[-tenth:])}


def bound(bodies: str, runs: int, commit_batches: int) -> dict[str, object]:
    """Decode Arrow bodies and write them to a plain Delta table: no gate, no lineage, no bus."""
    import pyarrow as pa
    from deltalake import write_deltalake

    with pa.OSFile(bodies) as file, pa.ipc.open_stream(file) as stream:
        kept = [each.as_py() for batch in stream for each in batch.column(0)]
    took = []
    for number in range(runs):
        started = time.perf_counter()
        for first in range(0, len(kept), commit_batches):
            tables = [
                pa.ipc.open_stream(body).read_all() for body in kept[first : first + commit_batches]
            ]
            write_deltalake(f"{bodies}.{number}", pa.concat_tables(tables), mode="append")
        took.append(time.perf_counter() - started)
    return {"seconds": took}


class _Away(WayOut):
    """A bus that nobody reaches: what is read stays in the outbox."""

    @override
    def sender(self) -> Sender:
        raise DependencyUnavailableError("The bus is away.", where="here", cure="none")


def read(agent: str) -> dict[str, object]:
    """Let an agent read all that its sources have into its outbox, in memory as it does itself."""
    memory.share_allocator()
    with memory.spared("numpy", "pandas"):
        from connectors.config import load_agent
        from pipeline.publish import Agent
        from pipeline.settings import read_settings

        reader = Agent(load_agent(Path(agent)), _Away(), read_settings())
        started = time.perf_counter()
        report = reader.round()
        took = time.perf_counter() - started
    if wrong := [each.error for each in report.streams if each.error]:
        raise RuntimeError(wrong)
    return {"seconds": [took], "rows": sum(each.rows_read for each in report.streams)}


@contextmanager
def _agent(file: str) -> "Iterator[Agent]":
    from connectors.config import load_agent
    from pipeline.publish import Agent, way_out
    from pipeline.settings import read_settings

    config, settings = load_agent(Path(file)), read_settings()
    with closing(Agent(config, way_out(config, settings), settings)) as opened:
        yield opened


def store(agent: str) -> dict[str, object]:
    """Let an agent read all that its sources have, and tell how many records wait to be sent."""
    with _agent(agent) as reader:
        return {"waiting": sum(each.pending for each in reader.round().streams)}


def forward(agent: str) -> dict[str, object]:
    """Let an agent send what waits, and ask its sources for news."""
    with _agent(agent) as sender:
        started = time.perf_counter()
        report = sender.round()
        took = time.perf_counter() - started
    if not report.is_clean or any(each.pending for each in report.streams):
        raise RuntimeError(report)
    return {"seconds": [took]}


def send_json(rows: int, topic: str) -> dict[str, object]:
    """Send rows as JSON, a record each, as most programs do."""
    from confluent_kafka import Producer

    from bench.rows import batches, json_rows

    bodies = [row for table in batches(rows) for row in json_rows(table)]
    servers = os.environ["NPLUSX_KAFKA_BOOTSTRAP_SERVERS"]
    producer = Producer(
        {"bootstrap.servers": servers, "linger.ms": 20, "acks": "all", "compression.type": "zstd"}
    )
    started = time.perf_counter()
    for row in bodies:
        while True:
            try:
                producer.produce(topic, row)
                break
            except BufferError:
                producer.poll(0.01)
    left = producer.flush(120)
    took = time.perf_counter() - started
    if left:
        raise RuntimeError(f"{left} records were not sent")
    return {"seconds": [took]}


def gate(rows: int, runs: int) -> dict[str, object]:
    """Judge rows against every promise, with all reasons of each row."""
    import pyarrow as pa

    from bench.rows import CONTRACT, OFTEN, reports
    from contracts.gate import judge

    table = reports(0, rows, OFTEN).append_column("_op", pa.repeat("upsert", rows))
    took, refused = [], 0
    for _ in range(runs):
        started = time.perf_counter()
        refused = len(judge(table, CONTRACT, {}).refused)
        took.append(time.perf_counter() - started)
    return {"seconds": took, "refused": refused}


def gx(rows: int, runs: int, result_format: str) -> dict[str, object]:
    """Judge the same rows by Great Expectations with the suite that the contract gives."""
    from bench.rows import CONTRACT, OFTEN, reports
    from contracts.suite import frame, promises

    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as library
    from great_expectations import expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = library.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    suite = context.suites.add(library.ExpectationSuite(name="all"))
    for promise in promises(CONTRACT):
        suite.add_expectation(getattr(expectations, promise.expectation)(**promise.arguments))
    check = context.validation_definitions.add(
        library.ValidationDefinition(
            name="all", data=asset.add_batch_definition_whole_dataframe("all"), suite=suite
        )
    )
    named: dict[str, object] = {"result_format": result_format}
    if result_format == "COMPLETE":
        named["unexpected_index_column_names"] = list(CONTRACT.key)
    # To make the frame is not counted: it is ours.
    given = {"dataframe": frame(reports(0, rows, OFTEN), CONTRACT)}
    took = []
    for _ in range(runs):
        started = time.perf_counter()
        check.run(batch_parameters=given, result_format=named)
        took.append(time.perf_counter() - started)
    return {"seconds": took}


def _peak_mib() -> int:
    """Tell the most memory that this process has held."""
    status = Path("/proc/self/status").read_text("utf-8")
    (line,) = (each for each in status.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


TASKS: dict[str, Callable[..., dict[str, object]]] = {
    each.__name__: each
    for each in (land, commits, bound, read, store, forward, send_json, gate, gx)
}


def main() -> None:
    """Run the task that the command line names."""
    told = TASKS[sys.argv[1]](**json.loads(sys.argv[2]))
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = round(used.ru_utime + used.ru_stime, 2)
    print(json.dumps({**told, "cpu_seconds": cpu, "peak_mib": _peak_mib()}))


if __name__ == "__main__":
    main()

"""A reading in another process: seen step by step, killed at any of them, its rows looked at."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path

import pyarrow as pa

from bus.outbox import Outbox
from kernel import canonical, clock
from kernel.errors import ChecksFailedError
from pipeline.rehearsal import Order, Step, apart, rehearse, stream_of
from pipeline.settings import environment

_END_SECONDS = 30
# What is loaded once serves every process, where the system can do that.
_PROCESSES: ForkServerContext | SpawnContext = (
    get_context("forkserver") if "forkserver" in get_all_start_methods() else get_context("spawn")
)
_PROCESSES.set_forkserver_preload(["pipeline.preloaded"])


@dataclass(frozen=True, slots=True)
class Read:
    """How a reading went."""

    last: Step
    seconds: float
    holes: tuple[str, ...]
    # After each page, or each pass of a soak: seconds and bytes.
    memory: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class Kill:
    """When a process is killed: at its n-th such step, or so long after it went on."""

    at: str
    nth: int
    after_seconds: float = 0.0


class Reader:
    """A process that reads as it is ordered; each of its steps waits for us."""

    def __init__(self, order: Order) -> None:
        Path(order.folder).mkdir(parents=True, exist_ok=True)
        self._order, self._is_over = order, False
        self._wire, its = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(target=rehearse, args=(order, environment(), its))
        self._process.start()
        its.close()

    def steps(self) -> Iterator[Step]:
        """Give its steps; it goes on when the next one is asked for."""
        while True:
            try:
                step: Step = self._wire.recv()
            except EOFError as died:
                self._process.join(_END_SECONDS)
                raise ChecksFailedError(
                    f"The process that reads died, exit code {self._process.exitcode}.",
                    where=self._order.contract,
                    cure="look for what ended it: too little memory, or a library of the kind.",
                ) from died
            if step.at == "failed":
                raise ChecksFailedError(step.what, where=self._order.contract, cure=step.cure)
            yield step
            self._is_over = step.at == "end"
            self.go_on()
            if self._is_over:
                return

    def go_on(self) -> None:
        """Let it do its next step."""
        self._wire.send(None)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()

    def close(self) -> None:
        """Have nothing of it left."""
        self._process.join(_END_SECONDS if self._is_over else 0)
        self._process.kill()
        self._process.join()
        self._wire.close()


def read(order: Order) -> Read:
    """Read to the end; say how it went."""
    began, memory, holes = clock.monotonic(), list[tuple[float, int]](), list[str]()
    last = Step("end", 0, 0, 0)
    with closing(Reader(order)) as reader:
        for last in reader.steps():
            holes += last.holes
            if last.at == "kept":
                memory.append((clock.monotonic() - began, last.memory_bytes))
    return Read(last, clock.monotonic() - began, tuple(holes), tuple(memory))


def killed(order: Order, kills: Sequence[Kill]) -> None:
    """Read on again and again, killed each time, unless the end comes before."""
    for kill in kills:
        seen = 0
        with closing(Reader(order)) as reader:
            for step in reader.steps():
                seen += step.at == kill.at
                if seen == kill.nth:
                    if kill.after_seconds:
                        reader.go_on()
                        clock.sleep(kill.after_seconds)
                    reader.kill()
                    break


def rows_of(order: Order) -> list[pa.Table]:
    """Give what waits in a reading's outbox, in its order."""
    stream = stream_of(order).id
    with closing(Outbox(apart(order).outbox, None)) as outbox:
        waiting = [each.record for each in outbox.pending(sys.maxsize) if each.stream == stream]
        return [pa.ipc.open_stream(each.value).read_all() for each in waiting]


def digests(tables: Sequence[pa.Table]) -> list[str]:
    """Name each row by what it says, in their order."""
    return [
        canonical.digest(repr(sorted(row.items())).encode("utf-8", "backslashreplace"))
        for table in tables
        for row in table.to_pylist()
    ]

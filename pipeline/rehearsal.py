"""Reads one stream as an agent does, in a process of its own that may be killed at any step.

It tells each step, and goes on when it is answered.
"""

import mmap
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from bus.outbox import Encoded, Outbox
from connectors import pseudonyms
from connectors.base import Connector, Page
from connectors.config import AgentConfig, load_agent
from kernel import clock
from kernel.errors import NplusxError
from kernel.ids import SourceId, Stream
from pipeline.bodies import encode
from pipeline.publish import read_key
from pipeline.sources import UNFORESEEN, connect, contract_rows, set_apart
from pipeline.trial import plan_of, source_of

GUEST = "certify"
_MEMORY = Path("/proc/self/statm")
_LOOK_SECONDS = 0.2
# Of fewer nobody could tell a slope.
_LEAST_PAGES = 12
# Before anything is measured; a slow source is not waited for longer than so many soaks.
_WARM_PASSES, _WARM_TIMES = 3, 10


@dataclass(frozen=True, slots=True)
class Order:
    """What is read, where to, and for how long."""

    agent: str
    source: str
    contract: str
    folder: str
    # No more rows than this, at the end of a page.
    most_rows: int
    # So long rows are waited for, where there are none.
    patience_seconds: float = 0
    # Whether each page is read by a connector that knows nothing but the cursor.
    reopens: bool = False
    # So long passes follow each other, and nothing is kept; no time: one pass.
    soak_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Step:
    """How far it is: a page was `read`, it was `kept`; the reading has its `end`, or `failed`."""

    at: str
    pages: int
    rows: int
    memory_bytes: int
    passing: str = ""
    holes: tuple[str, ...] = ()
    what: str = ""
    cure: str = ""


def apart(order: Order) -> AgentConfig:
    """Give the agent's configuration with an outbox and a memory of the rehearsal's own."""
    return set_apart(load_agent(Path(order.agent)), Path(order.folder), GUEST)


def stream_of(order: Order) -> Stream:
    """Name the stream as it stands in the outbox."""
    config = apart(order)
    plan = plan_of(source_of(config, order.source), order.contract)
    return Stream(config.enterprise, config.id, SourceId(order.source), plan.contract)


class Rehearsal:
    """One process's reading."""

    def __init__(self, order: Order, variables: Mapping[str, str]) -> None:
        self._order, self._config, self._variables = order, apart(order), variables
        self._source = source_of(self._config, order.source)
        self._plan = plan_of(self._source, order.contract)
        covering = self._config.pseudonym_key
        self._covering = pseudonyms.read_key(covering) if covering else None
        self._pages = self._rows = 0
        self._connector = self._open()

    def run(self) -> Iterator[Step]:
        """Read; a step is over when the next one is asked for."""
        try:
            yield from self._soak() if self._order.soak_seconds else self._kept()
            yield self._step("end")
        finally:
            self._connector.close()

    def _open(self) -> Connector[object]:
        return connect(self._config, self._source.id, self._variables)

    def _step(self, at: str, holes: tuple[str, ...] = ()) -> Step:
        passing = self._connector.passing
        return Step(at, self._pages, self._rows, memory_bytes(), passing, holes)

    def _read(self, cursor: str | None) -> tuple[Page, list[Encoded]]:
        """Take a page to where the outbox could keep it."""
        page = self._connector.read(self._plan, cursor)
        self._pages += 1
        if page.rows is None:
            return page, []
        rows = contract_rows(page.rows, self._source, self._plan, self._covering)
        self._rows += rows.num_rows
        return page, encode(rows, self._plan.version)

    def _kept(self) -> Iterator[Step]:
        """Read a pass on from the outbox's cursor into the outbox."""
        stream, config = stream_of(self._order), self._config
        with closing(Outbox(config.outbox, read_key(config.key_file))) as outbox:
            cursor, more = outbox.cursor(stream.id), True
            if cursor is None:
                self._connector.leave(self._plan)
            patience = self._order.patience_seconds if self._connector.passing else 0
            deadline = clock.monotonic() + patience
            while more and self._rows < self._order.most_rows:
                page, bodies = self._read(cursor)
                yield self._step("read", page.holes)
                if bodies or page.cursor != cursor:
                    outbox.put(stream, bodies, page.cursor)
                yield self._step("kept")
                cursor, more = page.cursor, page.more
                if not more and not self._rows and clock.monotonic() < deadline:
                    more = True
                    clock.sleep(_LOOK_SECONDS)
                # Who reads all anew passes over what is known, and is let come to what is not.
                if self._order.reopens and bodies:
                    self._connector.close()
                    self._connector = self._open()
            self._connector.rest(self._plan)

    def _soak(self) -> Iterator[Step]:
        """Read again and again, and keep nothing; what is loaded by the first passes is no leak."""
        began, passes, pages, until = clock.monotonic(), 0, 0, 0.0
        for is_end in self._endless():
            passes += is_end
            now, seconds = clock.monotonic(), self._order.soak_seconds
            if passes < _WARM_PASSES and now - began < _WARM_TIMES * seconds:
                continue
            until = until or now + seconds
            pages += 1
            yield self._step("kept")
            if pages >= _LEAST_PAGES and now >= until:
                return

    def _endless(self) -> Iterator[bool]:
        """Read pages of one pass after the other; tell where each ends."""
        cursor: str | None = None
        rows = 0
        while True:
            if cursor is None:
                self._connector.leave(self._plan)
                rows = self._rows
            page, bodies = self._read(cursor)
            cursor = page.cursor
            is_end = not page.more or self._rows - rows >= self._order.most_rows
            if is_end:
                self._connector.rest(self._plan)
                cursor = cursor if self._connector.passing else None
                clock.sleep(0 if bodies else _LOOK_SECONDS)
            yield is_end


def memory_bytes() -> int:
    """Tell how much memory this process holds; nothing where the system does not tell."""
    if not _MEMORY.exists():
        return 0
    return int(_MEMORY.read_text("ascii").split()[1]) * mmap.PAGESIZE


def rehearse(order: Order, variables: Mapping[str, str], wire: "Connection[Step, object]") -> None:
    """Do what is ordered; who ordered it answers each step."""
    try:
        for step in Rehearsal(order, variables).run():
            wire.send(step)
            wire.recv()
    except NplusxError as wrong:
        wire.send(Step("failed", 0, 0, 0, what=wrong.what, cure=wrong.cure))
    except UNFORESEEN as odd:
        what = f"The source gave what nobody foresaw: {type(odd).__name__} {odd}"
        wire.send(Step("failed", 0, 0, 0, what=what, cure="mend the connector."))

"""A stream that is to be certified: how it is read beside the agent, and what should come of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from bus.outbox import Outbox
from connectors import pseudonyms
from connectors.base import Connector, Source, StreamPlan
from connectors.config import AgentConfig
from contracts import decode, gate
from contracts import loader as contracts
from kernel import clock
from kernel.ids import Stream
from pipeline import rehearsed
from pipeline.bodies import encode
from pipeline.publish import read_key
from pipeline.rehearsal import Order
from pipeline.rehearsed import Read, digests, rows_of
from pipeline.sources import contract_rows

# So long rows are waited for where a source only tells what changes.
_PATIENCE_SECONDS = 20.0
_LOOK_SECONDS = 0.2
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Wish:
    """How much is tried, and what is left out for which reason."""

    soak_seconds: float
    most_rows: int
    skipped: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """What a part saw; with a cause it failed, with a reason it does not apply."""

    told: str
    cause: str = ""
    cure: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Through:
    """What came of rows behind mapping, outbox and gate."""

    rows: int
    refused: int


@dataclass
class Candidate:
    """One stream, and what its first read brought."""

    config: AgentConfig
    source: Source[object]
    plan: StreamPlan[object]
    folder: Path
    wish: Wish
    # One that leaves nothing at the source.
    connector: Connector[object]
    first: Sequence[str] = field(default_factory=list)
    page_seconds: float = 0.0

    def order(self, name: str) -> Order:
        """Order a reading of this stream, into an outbox of this name."""
        return Order(
            str(self.config.path),
            self.source.id,
            self.plan.contract,
            str(self.folder / name),
            self.wish.most_rows,
            _PATIENCE_SECONDS,
        )

    @property
    def is_whole(self) -> bool:
        """Tell whether the first read came to the end."""
        return len(self.first) < self.wish.most_rows

    @cached_property
    def again(self) -> Sequence[str]:
        """Read a second time as the first time: what is not in both changed meanwhile."""
        order = self.order("again")
        rehearsed.read(order)
        return digests(rows_of(order))

    def compared(self, came: Sequence[str], how: str, done: Read) -> Said:
        """Compare what came with the two plain readings: none lost, none doubled."""
        told = f"{how}; {len(came)} rows, none lost, none doubled{holes(done)}"
        twice = len(came) - len(set(came))
        if passing := self.connector.passing:
            told = f"{how}; {len(came)} rows, none doubled{holes(done)}. {passing}"
            return _unlike(how, 0, twice, told)
        readings = [self.first, self.again, came]
        if not self.is_whole:
            least = min(map(len, readings))
            readings = [each[:least] for each in readings]
        first, again, here = map(Counter, readings)
        lost = ((first & again) - here).total()
        more = here - (first | again)
        return _unlike(how, lost, sum(more[each] for each in more if each in first), told)

    def page(self) -> pa.Table | None:
        """Read the first rows that come, as the source has them."""
        deadline = clock.monotonic() + _PATIENCE_SECONDS
        cursor, rows = None, None
        while rows is None and clock.monotonic() < deadline:
            page = self.connector.read(self.plan, cursor)
            rows, cursor = page.rows, page.cursor
            if rows is None and not page.more:
                if not self.connector.passing:
                    break
                clock.sleep(_LOOK_SECONDS)
        self.connector.rest(self.plan)
        return rows

    def through(self, rows: pa.Table, zone: str) -> Through:
        """Pass rows through the mapping, an outbox and the gate."""
        covering = self.config.pseudonym_key
        key = pseudonyms.read_key(covering) if covering else None
        mapped = contract_rows(rows, replace(self.source, zone=zone), self.plan, key)
        stream = Stream(self.config.enterprise, self.config.id, self.source.id, self.plan.contract)
        bodies = encode(mapped, self.plan.version)
        path = self.folder / "through.sqlite"
        with closing(Outbox(path, read_key(self.config.key_file))) as outbox:
            outbox.put(stream, bodies, "")
            sent = outbox.pending(len(bodies) + 1)
            outbox.mark_sent([each.id for each in sent])
        found = [self.judged(each.record.value) for each in sent]
        return Through(sum(each.rows for each in found), sum(each.refused for each in found))

    def judged(self, body: bytes) -> Through:
        """Let the gate judge the rows of a record."""
        promised = contracts.find(self.plan.contract)
        decoded = decode.decode_arrow(body, promised)
        refused = gate.judge(decoded.rows, promised, decoded.faults).refused
        return Through(decoded.rows.num_rows, len(refused))


def _unlike(how: str, lost: int, doubled: int, told: str) -> Said:
    if not lost and not doubled:
        return Said(told)
    return Said(
        how,
        f"{lost} rows are lost, {doubled} come twice.",
        "let the connector give the same rows behind the same cursor, whoever asks and when.",
    )


def holes(done: Read) -> str:
    """Tell what the source will never give."""
    if not done.holes:
        return ""
    return f"; {len(done.holes)} holes told, such as: {done.holes[0]:.{_SHOWN}}"

"""What became of records: of each one, or of several that are alike in all but their rows."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pyarrow as pa

from bus.envelope import Envelope
from bus.ports import Received, Run
from contracts import decode
from contracts.drift import Drift
from contracts.violations import Kind
from pipeline.admission import Sender
from warehouse.landing import JUDGED, LANDED, PARTIAL, QUARANTINED, REFUSED, REPEAT
from warehouse.quarantine import Refused


@dataclass(slots=True)
class Taken:
    """A record with what its headers say, who sent it, and what became of it.

    Or several, one after the other, of which all that is the same: of one plain row each.
    """

    run: Run
    envelope: Envelope
    digests: Sequence[str]
    sender: Sender
    faults: tuple[Kind, ...] = ()
    verdict: str = ""
    # Of each record.
    rows: int = 0
    refused_rows: int = 0
    drift: frozenset[Drift] = frozenset()
    # When it is judged again: the rows that wait in quarantine. The others have landed.
    waits: Collection[int] = frozenset()
    # Once not all is the same of its records any more.
    pieces: list["Taken"] = field(default_factory=list)

    @property
    def record(self) -> Received:
        """Give the record, where it is one."""
        return self.run.at(0)

    @property
    def landed_rows(self) -> int:
        """Tell how many of its rows are in the table."""
        return self.rows - self.refused_rows if self.verdict in JUDGED else 0

    @property
    def epoch(self) -> str:
        """Name the life of the outbox that numbered it."""
        return self.envelope.epoch

    @property
    def number(self) -> tuple[str, str, int] | None:
        """Give stream, epoch and sequence, when the sender counts."""
        sequence = self.envelope.sequence
        if sequence is None or not self.epoch:
            return None
        return self.sender.stream, self.epoch, sequence

    @property
    def claimed_rows(self) -> int:
        """Tell how many rows it says that it holds, as far as a body can."""
        return min(self.envelope.row_count or 1, decode.MOST_ROWS)

    def refuse(self, *kinds: Kind) -> None:
        """Refuse the record as a whole."""
        self.faults = tuple(dict.fromkeys((*self.faults, *kinds)))
        self.verdict = REFUSED
        # What nobody proven to be somebody claims counts for one.
        self.rows = self.refused_rows = self.claimed_rows if self.sender.enterprise else 1

    def judge(self, refused: Mapping[int, int]) -> None:
        """Settle what became of the records, of some of which so many rows were refused."""
        if not refused:
            self.verdict = LANDED
            return
        first = 0
        for each in self.cut(edge for at in refused for edge in (at, at + 1)):
            bad = refused.get(first, 0)
            each.refused_rows = bad
            each.verdict = LANDED if not bad else PARTIAL if bad < each.rows else QUARANTINED
            first += len(each.run)

    def cut(self, places: Iterable[int]) -> list["Taken"]:
        """Part the records at these places."""
        spans = list(pairwise(sorted({0, *places, len(self.run)})))
        if len(spans) == 1:
            return [self]
        self.pieces = [
            replace(self, run=self.run.part(start, end), digests=self.digests[start:end], pieces=[])
            for start, end in spans
        ]
        return self.pieces


def parted(taken: Iterable[Taken]) -> Iterator[Taken]:
    """Give in the place of what was cut its pieces."""
    for each in taken:
        if each.pieces:
            yield from parted(each.pieces)
        else:
            yield each


@dataclass(frozen=True, slots=True)
class Harvest:
    """What records gave."""

    taken: list[Taken]
    landed: list[pa.Table]
    refused: list[Refused]

    @property
    def records(self) -> int:
        """Count the records."""
        return sum(len(each.run) for each in self.taken)

    def counts(self) -> dict[str, int]:
        """Count rows by outcome, and records."""
        return {
            "records": self.records,
            "rows": sum(len(each.run) * each.rows for each in self.taken),
            "landed": sum(len(each.run) * each.landed_rows for each in self.taken),
            "quarantined": sum(len(each.run) * each.refused_rows for each in self.taken),
            "repeats": sum(
                len(each.run) * each.rows for each in self.taken if each.verdict == REPEAT
            ),
        }

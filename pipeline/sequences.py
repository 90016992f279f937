"""A record's place in its stream: news, a repeat or a fork; and the numbers that never came."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

import pyarrow.compute as pc

from bus.ports import Headers
from contracts.model import Contract
from pipeline import opening
from warehouse import attempts
from warehouse.landing import JUDGED, RECORDS
from warehouse.store import TableStore

# Where every stream begins to count: a later first number is a hole.
FIRST = 1
# A stream that is sent again is looked up so many numbers at a time.
_WINDOW = 2048


class Place(Enum):
    """What a record is to the numbers of its stream."""

    NEWS = auto()
    REPEAT = auto()
    FORK = auto()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record that came under a number: what it was, and whether the number is now its own.

    A record that was refused as a whole leaves its number free for a corrected one.
    """

    digest: str
    headers: Headers
    keeps_number: bool
    place: tuple[str, int, int] = ("", 0, 0)


Earlier = Callable[[str, str, int], Sequence[Arrival]]


@dataclass(slots=True)
class Sequences:
    """The numbers of each stream and epoch, as the table and this run know them."""

    last: Callable[[str, str], int | None]
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    holes: list[dict[str, object]] = field(default_factory=list)
    # The streams in which this step gave numbers away.
    touched: set[tuple[str, str]] = field(default_factory=set)
    _earlier: Earlier = lambda *_: ()
    _arrived: dict[tuple[str, str, int], list[Arrival]] = field(default_factory=dict)
    _before: dict[tuple[str, str, int], list[Arrival]] = field(default_factory=dict)
    _seen_before: dict[tuple[str, str], int] = field(default_factory=dict)

    def begin(self, earlier: Earlier) -> None:
        """Begin a step; the one before it may not be in the tables yet."""
        self._earlier = earlier
        self._before, self._seen_before = self._arrived, dict(self.seen)
        self.forget()

    def forget(self) -> None:
        """Forget what this step noted: it is judged anew."""
        self.seen, self._arrived = dict(self._seen_before), {}
        self.holes, self.touched = [], set()

    def marks(self) -> dict[str, int]:
        """Give the watermarks of the streams that this step met, moved or not.

        Two that number in one stream at once must conflict, also when neither moves its mark.
        """
        return {sequence_mark(*stream): self.seen[stream] for stream in sorted(self.touched)}

    def place(self, stream: str, epoch: str, sequence: int, came: Arrival) -> Place:
        """Compare a record with what came under its number before."""
        last = self._last(stream, epoch)
        if last is None or sequence > last:
            return Place.NEWS
        known = [
            *self._arrived.get((stream, epoch, sequence), ()),
            *self._before.get((stream, epoch, sequence), ()),
            *self._earlier(stream, epoch, sequence),
        ]
        for each in known:
            if each.digest == came.digest and (each.keeps_number or each.headers == came.headers):
                return Place.REPEAT
        return Place.FORK if any(each.keeps_number for each in known) else Place.NEWS

    def note(self, stream: str, epoch: str, sequence: int, came: Arrival) -> None:
        """Remember what came, and the hole before it."""
        last = self._last(stream, epoch)
        expected = FIRST if last is None else last + 1
        if sequence > expected:
            hole = {"stream": stream, "epoch": epoch, "from": expected, "to": sequence - 1}
            self.holes.append(hole)
        self.touched.add((stream, epoch))
        self.seen[stream, epoch] = sequence if last is None else max(last, sequence)
        self._arrived.setdefault((stream, epoch, sequence), []).append(came)

    def _last(self, stream: str, epoch: str) -> int | None:
        known = self.seen.get((stream, epoch))
        return self.last(stream, epoch) if known is None else known


def sequence_mark(stream: str, epoch: str) -> str:
    """Name the watermark of a stream: the last number that came."""
    return f"seq/{stream}/{epoch}"


def earlier_in(store: TableStore, contract: Contract) -> Earlier:
    """Look up what came under a number in the records that landing kept; asked only of repeats."""
    decided: list[frozenset[str]] = []
    windows: dict[tuple[str, str], tuple[range, dict[int, list[Arrival]]]] = {}

    def earlier(stream: str, epoch: str, sequence: int) -> Sequence[Arrival]:
        numbers, found = windows.get((stream, epoch), (range(0), {}))
        if sequence not in numbers:
            if not decided:
                decided.append(frozenset(attempts.decisions_in(store.open(contract.table))))
            numbers = range(sequence, sequence + _WINDOW)
            found = _read(store, (contract.id, stream, epoch), numbers, decided[0])
            windows[stream, epoch] = numbers, found
        return found.get(sequence, ())

    return earlier


def _read(
    store: TableStore, of: tuple[str, str, str], numbers: range, decided: frozenset[str]
) -> dict[int, list[Arrival]]:
    contract, stream, epoch = of
    wanted = (
        (pc.field("contract") == contract)
        & (pc.field("stream") == stream)
        & (pc.field("epoch") == epoch)
        & (pc.field("sequence") >= numbers.start)
        & (pc.field("sequence") < numbers.stop)
    )
    names = [
        "sequence", "digest", "headers", "verdict", "attempt", "topic", "partition", "offset",
    ]  # fmt: skip
    found: dict[int, list[Arrival]] = {}
    for row in store.open(RECORDS).dataset().to_table(names, filter=wanted).to_pylist():
        if row["attempt"] in decided:
            place = row["topic"], row["partition"], row["offset"]
            headers = opening.headers(row["headers"])
            arrival = Arrival(row["digest"], headers, row["verdict"] in JUDGED, place)
            found.setdefault(row["sequence"], []).append(arrival)
    return found

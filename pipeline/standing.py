"""Where a landing table stands on its topic: what is to read, and what can no longer be read."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count

from bus.ports import Extent
from bus.topics import contract_of, filed_as
from kernel import clock
from kernel.errors import DependencyUnavailableError
from warehouse.store import ConflictError, TableHandle, TableStore

# The mark that counts how often the topic was made.
GENERATION = "topic"


def mark_name(topic: str, partition: int) -> str:
    """Name the watermark of a partition: the next offset to read."""
    return f"land/{topic}/{partition}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets that were gone before landing read them; without an end where nobody can know it."""

    topic: str
    partition: int
    first: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A topic beside its table.

    `topic` is the name under which rows are filed: a topic made anew counts its offsets from the
    start again, so its rows bear a name of their own.
    """

    topic: str
    ends: Mapping[int, int]
    marks: Mapping[int, int]
    gaps: tuple[Gap, ...]
    # What the table must remember before anything is landed; nothing if it knows already.
    news: Mapping[str, int]
    is_first: bool
    # Partitions that the topic has gained since landing began to read it.
    added: tuple[int, ...] = ()
    # What the broker calls this life of the topic.
    topic_id: str = ""

    @property
    def is_behind(self) -> bool:
        """Tell whether there is something to read; a table may also have read on meanwhile."""
        return any(self.marks[part] < end for part, end in self.ends.items())

    @property
    def lag(self) -> int:
        """Count the offsets that wait to be read."""
        return sum(max(0, end - self.marks[part]) for part, end in self.ends.items())

    @property
    def start(self) -> dict[int, int]:
        """Give the next offset of each partition that can be read."""
        skipped = {gap.partition: gap.end or 0 for gap in self.gaps if gap.topic == self.topic}
        return {part: max(mark, skipped.get(part, 0)) for part, mark in self.marks.items()}

    def require_readable(self) -> None:
        """Refuse a partition that ends before what was landed: its offsets name other records."""
        for part, mark in self.marks.items():
            if mark > self.ends[part]:
                raise DependencyUnavailableError(
                    f"The partition ends at {self.ends[part]}, but landing has read to {mark}: the "
                    "broker lost records.",
                    where=f"{self.topic} partition {part}",
                    cure="restore the broker's data. If it is gone, delete the topic and run "
                    "again: it is made anew and landing goes on; `nplusx doctor` names what is "
                    "missing.",
                )


def standing(handle: TableHandle | None, topic: str, found: Extent) -> Standing:
    """Compare a topic with its table."""
    known = handle.mark(f"{GENERATION}/{found.id}") if handle else None
    newest = (handle.mark(GENERATION) if handle else None) or 0
    generation = known or newest + 1
    name = filed_as(topic, generation)
    marks = {
        part: (handle.mark(mark_name(name, part)) if handle else None) or 0 for part in found.spans
    }
    gaps = [
        Gap(name, part, marks[part], first)
        for part, (first, _) in found.spans.items()
        if marks[part] < first
    ]
    if handle is not None and known is None and newest:
        gaps += _lost(handle, filed_as(topic, newest))
    news = {} if known else {f"{GENERATION}/{found.id}": generation, GENERATION: generation}
    return Standing(
        name,
        {part: end for part, (_, end) in found.spans.items()},
        marks,
        tuple(gaps),
        news,
        is_first=not newest,
        added=tuple(part for part in found.spans if handle.mark(mark_name(name, part)) is None)
        if handle is not None and known
        else (),
        topic_id=found.id,
    )


def settled(
    store: TableStore,
    table: str,
    topic: str,
    extent: Extent,
    first: Mapping[str, int] | None = None,
) -> Standing:
    """Find where to go on; what can no longer be read is told in a commit of its own.

    A table that has met no topic yet also gets the marks of its beginning.
    """
    while True:
        handle = store.open(table)
        at = standing(handle, topic, extent)
        if not at.news and not at.gaps and not at.added:
            return at
        marks = {mark_name(at.topic, part): offset for part, offset in at.start.items()}
        if at.is_first:
            marks |= first or {}
        facts = {
            "contract": contract_of(topic),
            "topic_id": extent.id,
            "gaps": [asdict(gap) for gap in at.gaps],
            "partitions_added": list(at.added),
            "landed_at": clock.now().isoformat(),
        }
        with suppress(ConflictError):
            empty = handle.dataset().schema.empty_table()
            handle.append(empty, {**marks, **at.news}, facts)


def _lost(handle: TableHandle, topic: str) -> Iterator[Gap]:
    """Tell where landing stood on a topic that is no more; what came after is not known."""
    for part in count():
        mark = handle.mark(mark_name(topic, part))
        if mark is None:
            return
        yield Gap(topic, part, mark, None)

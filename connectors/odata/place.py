"""How far a service was read: a link of its own, or a moment and what was seen about it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from connectors.cursor import REMEMBERED, readable
from connectors.odata.protocol import DAYS, Answer, Row, floor

_ROUNDED = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next request goes; a pass is under way as long as it is known when it began."""

    since: datetime | None = None
    # Not that moment itself: more rows share it than are remembered.
    beyond: bool = False
    began: datetime | None = None
    newest: datetime | None = None
    link: str = ""
    # Rows behind the same moment that came before.
    skip: int = 0
    # How many rows the links of one request lead to still, for no more were asked for.
    left: int = 0
    # At rows without a moment, with which a pass ends.
    undated: bool = False
    # The source keeps a token of changes for us; that of the last pass.
    tracked: bool = False
    delta: str = ""
    # Digest of each row that may come again, with its moment.
    seen: Mapping[str, datetime | None] = field(default_factory=dict)
    # Views of the pass before and of this one so far.
    known: tuple[str, ...] = ()
    now: tuple[str, ...] = ()

    @property
    def is_start(self) -> bool:
        """Tell whether nothing was read yet."""
        return not (self.since or self.link or self.skip or self.seen or self.known or self.now)

    def without_link(self) -> "Place":
        """Go on where the source forgot its own link: what it led to is asked for anew."""
        if self.link == self.delta:
            return Place()
        if self.delta or self.tracked:
            return Place(delta=self.delta)
        return replace(self, link="", skip=0, now=())


_SAVED = TypeAdapter(Place)


def unseen(
    at: Place, rows: Sequence[Row], moments: Sequence[datetime | None]
) -> tuple[list[Row], Place]:
    """Leave out the rows that were seen, and remember all."""
    seen, told = dict(at.seen), []
    for row, moment in zip(rows, moments, strict=True):
        digest = hashlib.blake2b(repr(row).encode(), digest_size=12).hexdigest()
        if digest not in seen:
            told.append(row)
        seen[digest] = moment
    newest = max(filter(None, (at.newest, *moments)), default=None)
    return told, replace(at, newest=newest, seen=seen)


def has_more(at: Place, answer: Answer) -> bool:
    """Tell whether rows may come behind a page."""
    return bool(answer.next or (answer.rows and at.left <= 0))


def onward(at: Place, moments: Sequence[datetime | None], link: str, kind: str) -> Place:
    """Say where a pass goes on: by value where that is possible, for places shift."""
    last = next(filter(None, reversed(moments)), None)
    if last is not None and not at.undated:
        # What a source shows may be rounded, but for days.
        last = floor(last, kind) if kind in DAYS else last - _ROUNDED
        if at.since is None or last > at.since:
            return replace(at, since=last, beyond=False, link="", skip=0)
    return replace(at, link=link, skip=at.skip + len(moments))


def ended(at: Place, back: timedelta, kind: str) -> Place:
    """Say from which moment on the next pass asks: late rows may lie before the newest."""
    after = replace(at, began=None, undated=False, link="", skip=0)
    if at.newest is None or at.began is None:
        return after
    if len(at.seen) >= REMEMBERED:
        # Instead of remembering for ever, nothing late is looked for behind this moment.
        shared = sum(1 for moment in at.seen.values() if moment == at.newest)
        return replace(after, since=at.newest, beyond=shared >= REMEMBERED)
    return replace(after, since=floor(min(at.newest, at.began) - back, kind), beyond=False)


def forgetting(at: Place, back: timedelta, kind: str) -> Place:
    """Forget the rows that no request will meet again."""
    edge = at.since
    if at.began is not None and at.newest is not None:
        edge = min(at.since or at.newest, floor(at.newest - back, kind))
    seen = [
        (digest, moment)
        for digest, moment in at.seen.items()
        if moment is None or edge is None or moment >= edge
    ]
    return replace(at, seen=dict(seen[-REMEMBERED:]))


def dumps(at: Place) -> str:
    """Write a place as text for the outbox."""
    return _SAVED.dump_json(at, exclude_defaults=True).decode()


def loads(text: str | None) -> Place:
    """Read a place; no text is the beginning."""
    if text is None:
        return Place()
    with readable("it then reads the source from the beginning"):
        return _SAVED.validate_json(text)

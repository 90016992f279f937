"""How far a source was read: a place, and what was seen of the rows that may still come late."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from kernel import canonical
from kernel.errors import ConfigurationError

# Rows remembered for the look-back; beyond it the window is closed instead of growing for ever.
_REMEMBERED = 20_000
_LEAST = date(1, 1, 2)

Moment = datetime | date | Decimal | int | str
"""A value of the column that says when a row last changed."""
Place = tuple[Moment | str, ...]
"""Of a row: when it changed, then its keys as texts; the first part alone: that moment on."""


@dataclass(frozen=True, slots=True)
class SeenRow:
    """What the cursor needs of a row: its digest and its place; no moment: the source has none."""

    digest: str
    moment: Moment | None
    place: Place


@dataclass(frozen=True, slots=True)
class Cursor:
    """A pass reads forward from a place; the next one begins a little before the newest row."""

    place: Place = ()
    fresh: bool = True
    newest: Moment | None = None
    # Digest of each row that the next pass will meet again, with its moment.
    seen: Mapping[str, Moment | None] = field(default_factory=dict)

    def advance(self, rows: Sequence[SeenRow], *, more: bool, window: "Window") -> "Cursor":
        """Move behind the rows of a page; without more of them, begin the next pass."""
        seen = dict(self.seen) | {each.digest: each.moment for each in rows}
        dated = [each for each in rows if each.moment is not None]
        newest = dated[-1].moment if dated else self.newest
        if newest is None:
            return Cursor(seen=seen)
        if self.newest is not None and type(self.newest) is type(newest):
            newest = max(newest, self.newest)
        start = window.start(newest)
        kept = {name: at for name, at in seen.items() if at is None or not _before(at, start)}
        place = dated[-1].place if dated else self.place
        if more:
            return Cursor(place, fresh=False, newest=newest, seen=kept)
        if len(kept) > _REMEMBERED:
            nameless = {name: at for name, at in kept.items() if at is None}
            return Cursor(place, newest=newest, seen=nameless)
        return Cursor((start,), newest=newest, seen=kept)


@dataclass(frozen=True, slots=True)
class Window:
    """How far back late rows are looked for, seen from now on the source's clock."""

    seconds: int
    now: datetime

    def start(self, newest: Moment) -> Moment:
        """Give the moment from which the next pass reads."""
        back = timedelta(seconds=self.seconds)
        if isinstance(newest, datetime):
            now = self.now if newest.tzinfo else self.now.replace(tzinfo=None)
            # A row from the future must not hide those that come in the meantime.
            return max(min(newest, now), datetime(1, 1, 2, tzinfo=newest.tzinfo) + back) - back
        if isinstance(newest, date):
            days = timedelta(days=1 + self.seconds // 86_400)
            return max(min(newest, self.now.date()), _LEAST + days) - days
        if isinstance(newest, str):
            return self._start_of_text(newest)
        return newest

    def _start_of_text(self, newest: str) -> str:
        try:
            moment = datetime.fromisoformat(newest)
        except ValueError:
            return newest
        start = self.start(moment)
        separator = "T" if "T" in newest else " "
        return start.isoformat(separator) if isinstance(start, datetime) else newest


def _before(moment: Moment, start: Moment) -> bool:
    """Compare moments; what cannot be compared is kept."""
    try:
        return bool(operator.lt(moment, start))
    except TypeError:
        return False


def dumps(cursor: Cursor) -> str:
    """Write a cursor as text for the outbox."""
    return canonical.dumps(
        {
            "place": [_tag(each) for each in cursor.place],
            "fresh": cursor.fresh,
            "newest": _tag(cursor.newest),
            "seen": {name: _tag(at) for name, at in cursor.seen.items()},
        }
    ).decode()


def loads(text: str | None) -> Cursor:
    """Read a cursor; no text is the beginning."""
    if text is None:
        return Cursor()
    try:
        loaded = _fields(canonical.loads(text))
        return Cursor(
            tuple(_known(each) for each in _items(loaded["place"])),
            fresh=bool(loaded["fresh"]),
            newest=_untag(loaded["newest"]),
            seen={str(name): _untag(at) for name, at in _fields(loaded["seen"]).items()},
        )
    except (KeyError, TypeError, ValueError) as broken:
        raise ConfigurationError(
            "The cursor of the stream cannot be read.",
            where="the agent's outbox",
            cure="give the agent a new outbox file; it then reads the source from the beginning.",
        ) from broken


def _fields(loaded: object) -> dict[str, object]:
    if not isinstance(loaded, dict):
        raise TypeError(loaded)
    return loaded


def _items(loaded: object) -> list[object]:
    if not isinstance(loaded, list):
        raise TypeError(loaded)
    return loaded


def _tag(value: Moment | None) -> list[str | int] | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return ["at", value.isoformat()]
    if isinstance(value, date):
        return ["on", value.isoformat()]
    if isinstance(value, Decimal):
        return ["decimal", format(value, "f")]
    return ["int", value] if isinstance(value, int) else ["text", value]


def _untag(tagged: object) -> Moment | None:
    if tagged is None:
        return None
    return _known(tagged)


def _known(tagged: object) -> Moment:
    kind, value = _items(tagged)
    text = str(value)
    if kind == "at":
        return datetime.fromisoformat(text)
    if kind == "on":
        return date.fromisoformat(text)
    if kind == "decimal":
        return Decimal(text)
    return int(text) if kind == "int" else text

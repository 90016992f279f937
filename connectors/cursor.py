"""How far a source was read: a place, and what was seen of the rows that may still come late."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from kernel import canonical
from kernel.errors import ConfigurationError

# Rows remembered for the look-back; beyond it the window is closed instead of growing for ever.
REMEMBERED = 20_000
_LEAST = date(1, 1, 2)

# Days that are written as texts, by their length.
_DAYS = {8: "%Y%m%d", 10: "%Y-%m-%d"}

Moment = datetime | date | Decimal | int | str
"""A value of the column that says when a row last changed."""
Place = tuple[Moment | str, ...]
"""Of a row: when it changed, then its keys as texts; the first part alone: that moment on."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A pass reads forward from a place; the next one begins a little before the newest row."""

    place: Place = ()
    fresh: bool = True
    newest: Moment | None = None
    # Digest of each row that the next pass will meet again, with its moment.
    seen: Mapping[str, Moment | None] = field(default_factory=dict)
    # Up to here more rows came than are remembered.
    crowded: Moment | None = None
    # What is kept of the rows that the source was last seen to hold, and of this pass so far.
    known: tuple[str, ...] = ()
    now: tuple[str, ...] = ()
    # When the source was last asked for all its keys.
    swept: Moment | None = None

    def starts(self, newest: Moment, window: "Window") -> Moment:
        """Tell from which moment on rows are met again, if rows up to another one were read."""
        if self.newest is not None and type(self.newest) is type(newest):
            newest = max(newest, self.newest)
        return window.start(newest)

    def advance(
        self,
        place: Place,
        seen: Mapping[str, Moment | None],
        *,
        more: bool,
        window: "Window",
    ) -> "Cursor":
        """Move behind the rows of a page; without more of them, begin the next pass.

        Of the rows only those are told that will be met again, or that have no moment.
        """
        newest = place[0] if place else self.newest
        if newest is None:
            return Cursor(seen={**self.seen, **seen})
        if self.newest is not None and type(self.newest) is type(newest):
            newest = max(newest, self.newest)
        start = window.start(newest)
        both = {**self.seen, **seen}
        kept = {name: at for name, at in both.items() if at is None or not before(at, start)}
        place, crowded = place or self.place, self.crowded
        if crowded is not None and before(crowded, start):
            crowded = None
        if len(kept) > REMEMBERED:
            crowded = newest
        if crowded is not None:
            # Instead of remembering for ever, what is late is looked for from here on.
            kept = {name: at for name, at in kept.items() if at is None}
        if more:
            return Cursor(place, fresh=False, newest=newest, seen=kept, crowded=crowded)
        if crowded is not None:
            return Cursor(place, newest=newest, seen=kept, crowded=crowded)
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
        if form := _DAYS.get(len(newest)):
            try:
                return format(self.start(date.fromisoformat(newest)), form)
            except ValueError:
                return newest
        try:
            moment = datetime.fromisoformat(newest)
        except ValueError:
            return newest
        start = self.start(moment)
        separator = "T" if "T" in newest else " "
        return start.isoformat(separator) if isinstance(start, datetime) else newest


def moment(value: object, column: str) -> Moment:
    """Take a value of a column for the time of a change."""
    if isinstance(value, datetime | date | Decimal | int | str):
        return value
    raise ConfigurationError(
        f"{column} holds a {type(value).__name__}, which is not a moment.",
        where="the preset's stream",
        cure="name a column of dates, times, numbers or texts as the stream's `updated`.",
    )


def before(moment: Moment, start: Moment) -> bool:
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
            "crowded": _tag(cursor.crowded),
            "known": list(cursor.known),
            "now": list(cursor.now),
            "swept": _tag(cursor.swept),
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
            crowded=_untag(loaded.get("crowded")),
            known=tuple(map(str, _items(loaded.get("known", [])))),
            now=tuple(map(str, _items(loaded.get("now", [])))),
            swept=_untag(loaded.get("swept")),
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

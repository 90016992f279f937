"""How far a source was read: a place, and what was seen of the rows that may still come late."""

import operator
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
Place = tuple[Moment | None, ...]
"""Of a row: when it changed, then its keys as texts, or nothing: behind all of that moment.

The first part alone: that moment on.
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A pass reads forward from a place; the next one begins a little before the newest row."""

    place: Place = ()
    fresh: bool = True
    newest: Moment | None = None
    # Digest of each row that the next pass will meet again, with its moment.
    seen: Mapping[str, Moment] = field(default_factory=dict)
    # Of the last row that is not from the future.
    present: Place = ()
    # Up to here more rows came than are remembered.
    crowded: Moment | None = None
    # What is kept of the rows that the source was last seen to hold, and of this pass so far.
    known: tuple[str, ...] = ()
    now: tuple[str, ...] = ()
    # When the source was last asked for all its keys.
    swept: Moment | None = None
    # How far rows without a moment were read: by themselves, all of them in each pass.
    undated: "Cursor | None" = None

    def starts(self, newest: Moment, window: "Window") -> Moment:
        """Tell from which moment on rows are met again, if rows up to another one were read."""
        return window.start(_later(newest, self.newest))

    @property
    def needed(self) -> tuple[str, ...]:
        """Name what is kept that this cursor needs."""
        return (*self.known, *self.now, *(self.undated.needed if self.undated else ()))

    def advance(
        self, passed: "Passed", seen: Mapping[str, Moment], *, more: bool, window: "Window"
    ) -> "Cursor":
        """Move behind the rows of a page; without more of them, begin the next pass.

        Of the rows only those are told that will be met again.
        """
        newest = passed.place[0] if passed.place else self.newest
        if newest is None:
            return Cursor()
        newest = _later(newest, self.newest)
        start = window.start(newest)
        both = {**self.seen, **seen}
        kept = {name: at for name, at in both.items() if not before(at, start)}
        place, present = passed.place or self.place, passed.present or self.present
        crowded = self.crowded
        if crowded is not None and before(crowded, start):
            crowded = None
        if len(kept) > REMEMBERED:
            crowded = newest
        after = Cursor(place, newest=newest, crowded=crowded, present=present, fresh=not more)
        if crowded is None:
            return replace(after, place=place if more else (start,), seen=kept)
        # Instead of remembering for ever, what is late is looked for from here on; what is from
        # the future is remembered, or nothing else would be found until then.
        ahead = {name: at for name, at in kept.items() if before(window.now_as(at), at)}
        if not ahead or len(ahead) > REMEMBERED:
            return after
        return replace(after, place=place if more or not present else present, seen=ahead)


@dataclass(frozen=True, slots=True)
class Passed:
    """What was passed in a page: its last row, and the last that is not from the future."""

    place: Place
    present: Place


@dataclass(frozen=True, slots=True)
class Window:
    """How far back late rows are looked for, seen from now on the source's clock."""

    seconds: int
    now: datetime

    def start(self, newest: Moment) -> Moment:
        """Give the moment from which the next pass reads."""
        back = timedelta(seconds=self.seconds)
        # A row from the future must not hide those that come in the meantime.
        newest = newest if before(newest, self.now_as(newest)) else self.now_as(newest)
        if isinstance(newest, datetime):
            return max(newest, datetime(1, 1, 2, tzinfo=newest.tzinfo) + back) - back
        if isinstance(newest, date):
            days = timedelta(days=1 + self.seconds // 86_400)
            return max(newest, _LEAST + days) - days
        if isinstance(newest, str) and (known := _read(newest)) is not None:
            return _written(self.start(known), newest)
        return newest

    def now_as(self, like: Moment) -> Moment:
        """Give the present in the form of a moment; where it has none, that moment itself."""
        if isinstance(like, datetime):
            return self.now if like.tzinfo else self.now.replace(tzinfo=None)
        if isinstance(like, date):
            return self.now.date()
        if isinstance(like, str) and (known := _read(like)) is not None:
            return _written(self.now_as(known), like)
        return like


def _read(text: str) -> datetime | date | None:
    try:
        if len(text) in _DAYS:
            return date.fromisoformat(text)
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _written(moment: Moment, like: str) -> str:
    """Write a moment in the form of another one."""
    if isinstance(moment, datetime):
        return moment.isoformat("T" if "T" in like else " ")
    return format(moment, _DAYS[len(like)]) if isinstance(moment, date) else like


def _later(one: Moment, other: Moment | None) -> Moment:
    """Give the later moment; where they cannot be compared, the first."""
    return other if other is not None and before(one, other) else one


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
            "present": [_tag(each) for each in cursor.present],
            "known": list(cursor.known),
            "now": list(cursor.now),
            "swept": _tag(cursor.swept),
            "undated": dumps(cursor.undated) if cursor.undated else None,
        }
    ).decode()


@contextmanager
def readable(then: str) -> Iterator[None]:
    """Say of a cursor that cannot be read what a new outbox would mean."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as broken:
        raise ConfigurationError(
            "The cursor of the stream cannot be read.",
            where="the agent's outbox",
            cure=f"give the agent a new outbox file; {then}.",
        ) from broken


def loads(text: str | None) -> Cursor:
    """Read a cursor; no text is the beginning."""
    if text is None:
        return Cursor()
    with readable("it then reads the source from the beginning"):
        loaded = _fields(canonical.loads(text))
        return Cursor(
            tuple(_untag(each) for each in _items(loaded["place"])),
            fresh=bool(loaded["fresh"]),
            newest=_untag(loaded["newest"]),
            # An older agent remembered rows without a moment here too.
            seen={str(name): _known(at) for name, at in _fields(loaded["seen"]).items() if at},
            crowded=_untag(loaded.get("crowded")),
            present=tuple(_untag(each) for each in _items(loaded.get("present", []))),
            known=tuple(map(str, _items(loaded.get("known", [])))),
            now=tuple(map(str, _items(loaded.get("now", [])))),
            swept=_untag(loaded.get("swept")),
            undated=loads(str(loaded["undated"])) if loaded.get("undated") else None,
        )


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

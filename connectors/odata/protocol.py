"""How services of V2 and V4 are asked, and what stands where in their answers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from connectors.odata.model import V4, Entity
from connectors.web.rows import text_of
from kernel.errors import ConfigurationError

Row = dict[str, str | None]
# Not a type of OData: a day that stands in quotes.
QUOTED = "quoted"
DAYS = ("Edm.Date", QUOTED)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"/Date\((-?\d+)([+-]\d+)?\)/")
_KEY = re.compile(r"\((.*)\)[^()]*$", re.DOTALL)
_PART = re.compile(r"(?:(\w+)=)?(?:\w*'((?:[^']|'')*)'|([^,]*))(?:,|$)")
_HANDED_ON = ("__metadata", "__deferred")


@dataclass(frozen=True, slots=True)
class Answer:
    """A page: its rows as the source wrote them, the keys of what is gone, where to go on."""

    rows: tuple[Mapping[str, object], ...]
    removed: tuple[Row, ...] = ()
    next: str = ""
    # Where changes can be asked for from now on.
    delta: str = ""


def headers_of(version: int, page_rows: int, *, track: bool) -> dict[str, str]:
    """Ask for exact decimals, for pages of a size, and for a token of changes to come."""
    if version != V4:
        return {"Accept": "application/json"}
    prefer = f"odata.maxpagesize={page_rows}" + (",odata.track-changes" if track else "")
    return {"Accept": "application/json;IEEE754Compatible=true", "Prefer": prefer}


def answer_of(told: object, entity: Entity, where: str) -> Answer:
    """Read a page of either version."""
    inside = told.get("d") if isinstance(told, dict) and "d" in told else told
    rows = inside
    if isinstance(inside, dict):
        rows = inside.get("results", inside.get("value"))
    if not isinstance(rows, list):
        raise ConfigurationError(
            "The answer holds no list of rows.",
            where=where,
            cure="correct the source's `address`, and the stream's `entity`: it must be a set.",
        )
    kept, removed = [], []
    for row in rows:
        if not isinstance(row, dict):
            continue
        if (gone := _gone(row, entity)) is not None:
            removed.append(gone)
        elif "/$link" not in str(row.get("@odata.context", "")):
            kept.append(row)
    return Answer(
        tuple(kept),
        tuple(removed),
        _said(inside, "@odata.nextLink", "@nextLink", "odata.nextLink", "__next"),
        _said(inside, "@odata.deltaLink", "@deltaLink", "__delta"),
    )


def _said(inside: object, *names: str) -> str:
    told = inside if isinstance(inside, dict) else {}
    return next((str(told[name]) for name in names if told.get(name)), "")


def _gone(row: Mapping[str, object], entity: Entity) -> Row | None:
    """Give the keys of an entry that says what is no longer there."""
    is_old = str(row.get("@odata.context", "")).endswith("/$deletedEntity")
    if not (is_old or "@removed" in row or "@odata.removed" in row):
        return None
    keys = {name: text_of(row[name]) for name in entity.keys if name in row}
    if len(keys) == len(entity.keys):
        return keys
    keys = keys_of(_said(row, "@id", "@odata.id", "id"), entity)
    if len(keys) < len(entity.keys):
        raise ConfigurationError(
            f"The source does not say which row of {entity.name} is gone.",
            where=f"entity set {entity.name}",
            cure="say `track: never` in the preset's stream, and name its `updated`.",
        )
    return keys


def keys_of(identity: str, entity: Entity) -> Row:
    """Read the keys out of an entity's address: `Set('a')`, `Set(x='a',y=1)`."""
    keys: Row = {}
    if (found := _KEY.search(identity)) is None:
        return keys
    for named, quoted, bare in _PART.findall(found.group(1)):
        name = named or (entity.keys[0] if len(entity.keys) == 1 else "")
        if name in entity.keys:
            keys.setdefault(name, bare or quoted.replace("''", "'"))
    return keys


def row_of(row: Mapping[str, object], columns: Sequence[str], entity: Entity) -> Row:
    """Write values as texts: numbers keep their digits, moments become those of ISO 8601."""
    return {name: _value(row.get(name), entity.types.get(name, "")) for name in columns}


def _value(value: object, kind: str) -> str | None:
    if isinstance(value, str):
        return _date_of(value, kind) if _DATE.fullmatch(value) else text_of(value)
    return text_of(_bare(value))


def _bare(value: object) -> object:
    """Leave out what V2 puts around rows inside of rows."""
    if isinstance(value, dict):
        inner = value.get("results")
        if isinstance(inner, list):
            return [_bare(each) for each in inner]
        if "__deferred" in value:
            return None
        return {name: _bare(each) for name, each in value.items() if name not in _HANDED_ON}
    if isinstance(value, list):
        return [_bare(each) for each in value]
    if isinstance(value, str) and _DATE.fullmatch(value):
        return _date_of(value, "")
    return value


def _date_of(value: str, kind: str) -> str:
    """Write V2's `/Date(milliseconds)/`; without an offset it is the source's own clock."""
    found = _DATE.fullmatch(value)
    milliseconds, offset = found.groups() if found else ("0", None)
    try:
        moment = _EPOCH + timedelta(milliseconds=int(milliseconds))
    except OverflowError:
        return value
    if offset is None and kind != "Edm.DateTimeOffset":
        return moment.replace(tzinfo=None).isoformat()
    return moment.isoformat()


def moment_of(text: str) -> datetime:
    """Read a moment; one without an offset is taken as it stands."""
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def literal(moment: datetime, kind: str, version: int) -> str:
    """Write a moment as a filter wants it."""
    if kind in DAYS:
        day = moment.date().isoformat()
        return f"'{day}'" if kind == QUOTED else day
    text = moment.replace(tzinfo=None).isoformat()
    if kind == "Edm.DateTime":
        return f"datetime'{text}'"
    return f"{text}Z" if version == V4 else f"datetimeoffset'{text}Z'"


def floor(moment: datetime, kind: str) -> datetime:
    """Give the first moment that a type cannot tell from this one."""
    if kind not in DAYS:
        return moment
    day: date = moment.date()
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def address_of(row: Mapping[str, object], entity: Entity) -> str:
    """Write the address of a row."""
    parts = []
    for name in entity.keys:
        text = text_of(row.get(name)) or ""
        is_text = entity.types.get(name) == "Edm.String"
        parts.append((name, "'" + text.replace("'", "''") + "'" if is_text else text))
    if len(parts) == 1:
        return f"{entity.name}({parts[0][1]})"
    return f"{entity.name}({','.join(f'{name}={text}' for name, text in parts)})"


def tracks(applied: str) -> bool:
    """Tell whether the source promised a token of changes."""
    return "track-changes" in applied

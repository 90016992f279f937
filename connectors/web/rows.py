"""Rows out of answers: every value as its text, so that nothing is lost before the mapping."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from connectors.web.replies import at
from kernel import canonical
from kernel.errors import ConfigurationError

_PARTS = ("year", "month", "day", "hour", "minute", "second", "microsecond")


def rows_of(
    found: Sequence[object], columns: Sequence[str], where: str
) -> list[dict[str, str | None]]:
    """Give the named columns of rows; a row is a mapping, or a list in the columns' order."""
    rows = []
    for row in found:
        if isinstance(row, list):
            if len(row) != len(columns):
                raise ConfigurationError(
                    f"A row has {len(row)} values for {len(columns)} columns.",
                    where=where,
                    cure="let the stream's `columns` name them in the order of the answer.",
                )
            rows.append(dict(zip(columns, map(text_of, row), strict=True)))
        elif isinstance(row, dict):
            rows.append({name: text_of(_value(row, name)) for name in columns})
        else:
            raise ConfigurationError(
                f"A row is neither a mapping nor a list, but {text_of(row)!r:.80}.",
                where=where,
                cure="correct the stream's `rows`: the path to the list of rows in the answer.",
            )
    return rows


def require_names(found: Sequence[object], names: Sequence[str], where: str) -> None:
    """Complain of a name that no row bears: without its key each row would look new, or gone."""
    rows = [row for row in found if isinstance(row, dict)]
    for name in names if rows else ():
        first = name.partition(".")[0]
        if not any({name, first, f"{first}."} & row.keys() for row in rows):
            raise ConfigurationError(
                f"No row of a page has {name}, which tells rows apart.",
                where=where,
                cure="check that the product still calls it so, and correct `columns` and `keys`.",
            )


def _value(row: Mapping[str, object], name: str) -> object:
    # A name may hold a dot and be one name all the same.
    return row[name] if name in row else at(row, name)


def table_of(rows: Sequence[Mapping[str, str | None]], columns: Sequence[str]) -> pa.Table:
    """Make a table of texts."""
    return pa.table({each: pa.array([row[each] for row in rows], pa.string()) for each in columns})


def text_of(value: object) -> str | None:
    """Write a value as text; what has parts as JSON."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # Half a character is no text.
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict) and (told := _tryton(value)) is not None:
        return told
    return canonical.dumps(_whole(value)).decode()


def _whole(value: object) -> object:
    if isinstance(value, dict):
        named = {str(text_of(name)): _whole(each) for name, each in value.items()}
        return _tryton(value) or named
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return text_of(value) if isinstance(value, str) else value


def _tryton(value: Mapping[str, object]) -> str | None:
    """Write what Tryton's JSON-RPC says by parts: moments, which are in UTC, days and numbers."""
    kind = value.get("__class__")
    if kind == "Decimal":
        return str(value.get("decimal"))
    if kind not in ("date", "datetime"):
        return None
    year, month, day, hour, minute, second, micro = (str(value.get(e, 0)) for e in _PARTS)
    on = f"{year:0>4}-{month:0>2}-{day:0>2}"
    if kind == "date":
        return on
    return f"{on}T{hour:0>2}:{minute:0>2}:{second:0>2}.{micro:0>6}+00:00"

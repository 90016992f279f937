"""What the binary log says of rows, as the same server's answers say it; what statements do."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
from pymysqlreplication.column import Column
from pymysqlreplication.constants import FIELD_TYPE, NONE_SOURCE
from pymysqlreplication.row_event import RowsEvent

from connectors.cdc.log import LostError, Row
from connectors.sql.wire import DIGITS
from kernel import canonical, clock

Convert = Callable[[object], object]
_LEADING = re.compile(r"(?:\s|/\*.*?\*/|--[^\n]*\n|#[^\n]*\n)*", re.DOTALL)


def _begins(*words: str) -> re.Pattern[str]:
    return re.compile(rf"({'|'.join(words)})\b", re.IGNORECASE | re.DOTALL)


_WITHIN = _begins("begin", r"start\s+transaction", "savepoint", r"rollback\s+to", "release", "xa")
_ENDS = _begins(r"drop\s+table", "rename", r"alter\s.*\brename\s+(to|as)", r"create\s+or\s+replace")
_EMPTIES = _begins("truncate", r"alter\s.*\b(drop|truncate|exchange)\s+partition")
_WRITES = _begins("insert", "update", "delete", "replace", "load")


@dataclass(frozen=True, slots=True)
class Does:
    """What a statement of the log does to a table."""

    is_within: bool = False
    ends_table: bool = False
    # How the table was changed by what the log does not tell row by row.
    hides: str = ""


def statement(query: str, where: str, schema: str, table: str) -> Does:
    """Tell what a statement that was run in a schema does to a table."""
    told = _LEADING.match(query)
    text = query[told.end() :] if told else query
    if _WITHIN.match(text):
        return Does(is_within=True)
    if not _names(text, where, schema, table):
        return Does()
    if _ENDS.match(text):
        return Does(ends_table=True)
    if _EMPTIES.match(text):
        return Does(hides="emptied, whole or in part, by a statement")
    if _WRITES.match(text):
        return Does(hides="written to by a statement, whose rows the log does not hold,")
    return Does()


def _names(text: str, where: str, schema: str, table: str) -> bool:
    if table.lower() not in text.lower():
        return False
    return where.lower() == schema.lower() or schema.lower() in text.lower()


class Columns:
    """Knows how the values of a table's columns are written in the log."""

    def __init__(self, zone: str) -> None:
        # As the session that reads the table is set.
        self._ahead = clock.now().astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
        self._converts: list[tuple[str, Convert | None, str]] = []

    def shape(self, event: RowsEvent) -> dict[str, str]:
        """Give the columns of the rows of an event, by name and type."""
        columns: list[Column] = event.columns
        if not all(each.name for each in columns):
            raise LostError("its log names no columns (binlog_row_metadata)")
        self._converts = [(c.name, self._convert(c), _missing(c)) for c in columns]
        return {each.name: _type(each) for each in columns}

    def row(self, told: Mapping[str, Mapping[str, object]], which: str) -> Row:
        """Give a row's values as an answer of the server gives them."""
        values, missing = told[f"{which}values"], told[f"{which}none_sources"]
        row: list[object] = []
        for name, convert, instead in self._converts:
            value = values[name]
            if value is None:
                is_null = missing.get(name, NONE_SOURCE.NULL) == NONE_SOURCE.NULL
                row.append(None if is_null else instead)
            else:
                row.append(convert(value) if convert else value)
        return row

    def _convert(self, column: Column) -> Convert | None:
        kind = column.type
        if kind in (FIELD_TYPE.TIMESTAMP, FIELD_TYPE.TIMESTAMP2):
            return self._local
        if kind == FIELD_TYPE.STRING:
            return lambda value: _padded(value, column.max_length)
        if kind == FIELD_TYPE.SET:
            order = list(column.set_values or ())
            return lambda value: ",".join(each for each in order if each in _many(value))
        return _CONVERTS.get(kind)

    def _local(self, value: object) -> object:
        return value + self._ahead if isinstance(value, datetime) else value


def _missing(column: Column) -> str:
    """Give what an answer holds where Python has no such value."""
    if column.type == FIELD_TYPE.SET:
        return ""
    return "0000-00-00" if column.type == FIELD_TYPE.DATE else "0000-00-00 00:00:00"


def _type(column: Column) -> str:
    parts = ("unsigned", "max_length", "precision", "decimals", "fsp", "size", "length_size")
    return ",".join(map(str, (column.type, *(getattr(column, part, "") for part in parts))))


def as_declared(column: pa.Array, kind: str) -> pa.Array:
    """Give decimals the precision and scale of their column, as an answer has them."""
    of, _, _, precision, decimals, *_ = kind.split(",")
    is_so = of == str(FIELD_TYPE.NEWDECIMAL) and int(precision) <= DIGITS
    return column.cast(pa.decimal128(int(precision), int(decimals))) if is_so else column


def _padded(value: object, size: int) -> object:
    """Fill up what the log shortens: bytes of a fixed length."""
    return value.ljust(size, b"\0") if isinstance(value, bytes) else value


def _many(value: object) -> set[object]:
    return set(value) if isinstance(value, set) else set()


def _short(value: object) -> object:
    """Give a number of single precision as the server writes it."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _bits(value: object) -> object:
    text = str(value)
    return int(text, 2).to_bytes((len(text) + 7) // 8, "big")


def _json(value: object) -> str:
    """Write a document as the server does."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_json(key)}: {_json(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_json, value))}]"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        value = value.decode()
    return canonical.dumps(str(value) if isinstance(value, datetime) else value).decode()


_CONVERTS: dict[int, Convert] = {
    FIELD_TYPE.FLOAT: _short, FIELD_TYPE.BIT: _bits, FIELD_TYPE.JSON: _json,
}  # fmt: skip

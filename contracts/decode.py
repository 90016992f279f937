"""From the body of a record to a table in the contract's types; what does not fit is named."""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from contracts.model import Contract, LogicalType
from contracts.schema import arrow_type
from contracts.violations import Kind, Violation
from kernel import canonical

OPERATIONS = ("upsert", "delete")
_OP = "_op"
# What Python, Delta and DuckDB all hold; a day less for instants, so that every zone's view of
# one fits too.
_DAYS = (date(1, 1, 1), date(9999, 12, 31))
_INSTANTS = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
_SPACE = re.compile(r"[ \t\n\r]*")
_INTEGER = r"^-?[0-9]+$"
# Python reads longer ones in time that grows with their square; no column holds them.
_INT_DIGITS = 18


class UndecodableError(Exception):
    """The body is not what its content type says."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rows in the contract's types, what else they held, and the values that did not fit."""

    rows: pa.Table
    extra: tuple[str | None, ...] | None
    faults: dict[int, tuple[Violation, ...]]
    raw: Callable[[int], bytes]


def decode_arrow(body: bytes, contract: Contract) -> Decoded:
    """Read an Arrow IPC stream."""
    try:
        with pa.ipc.open_stream(io.BytesIO(body)) as stream:
            table = stream.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as broken:
        raise UndecodableError(str(broken).splitlines()[0]) from broken
    if len(set(table.column_names)) != len(table.column_names):
        raise UndecodableError("two columns bear one name")
    known = {each.name for each in contract.properties} | {_OP}
    unknown = table.select([name for name in table.column_names if name not in known])
    extra = None
    if unknown.num_columns:
        extra = tuple(_extra(_row(unknown, row)) for row in range(table.num_rows))

    def raw(row: int) -> bytes:
        return canonical.dumps(_row(table, row))

    columns = {name: table[name].combine_chunks() for name in table.column_names if name in known}
    rows, faults = _conform(columns, table.num_rows, contract, {})
    return Decoded(rows, extra, faults, raw)


def decode_json(body: bytes, contract: Contract, *, lines: bool) -> Decoded:
    """Read NDJSON, a JSON object or an array of objects; a row that is none is its own fault."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as broken:
        raise UndecodableError(str(broken)) from broken
    pieces = [line for line in text.split("\n") if line.strip()] if lines else _elements(text)
    rows: list[Mapping[str, object]] = []
    faults: dict[int, list[Violation]] = {}
    for place, piece in enumerate(pieces):
        row = _object(piece)
        if row is None:
            faults[place] = [Violation(Kind.UNDECODABLE)]
        rows.append(row or {})
    texts = {each.name: each.type is LogicalType.STRING for each in contract.properties}
    columns: dict[str, pa.Array] = {}
    for name in (*texts, _OP):
        values = [row.get(name) for row in rows]
        columns[name] = pa.array(
            [_as_text(v, text=texts.get(name, True)) for v in values], pa.string()
        )
    known = {*texts, _OP}
    spare = [{k: v for k, v in row.items() if k not in known} for row in rows]

    def raw(row: int) -> bytes:
        return pieces[row].encode()

    extra = tuple(_extra(each) for each in spare) if any(spare) else None
    typed, found = _conform(columns, len(rows), contract, faults)
    return Decoded(typed, extra, found, raw)


class _Number(str):
    """A JSON number by its own digits: as a float, 99999999999999.99 would be another amount."""

    __slots__ = ()


def _integer(digits: str) -> int | _Number:
    return int(digits) if len(digits) <= _INT_DIGITS else _Number(digits)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


_JSON = json.JSONDecoder(
    parse_float=_Number, parse_int=_integer, parse_constant=_no_constant, strict=True
)


def _object(piece: str) -> Mapping[str, object] | None:
    """Read one row, if it is a JSON object that Arrow can hold."""
    try:
        row = _JSON.decode(piece)
        if "\\u" in piece:
            # Half a character, \ud800, is no text that a table holds; the strict reader says so.
            canonical.loads(piece)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _elements(text: str) -> list[str]:
    """Split an array into the texts of its elements; an object alone is the only one."""
    text = text.strip()
    if not text.startswith("["):
        if _object(text) is None:
            raise UndecodableError("the body is no JSON object")
        return [text]
    return list(_walk(text))


def _walk(text: str) -> Iterator[str]:
    place = _after_space(text, 1)
    try:
        if text[place] != "]":
            while True:
                _, end = _JSON.raw_decode(text, place)
                yield text[place:end]
                place = _after_space(text, end)
                if text[place] != ",":
                    break
                place = _after_space(text, place + 1)
        if text[place:] != "]":
            raise UndecodableError("the array does not end where the body does")
    except (ValueError, IndexError, RecursionError) as broken:
        raise UndecodableError(str(broken)) from broken


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


# Stands for a value of the wrong JSON kind: no cast accepts it, and no text can hold it by chance.
_WRONG = "\x00wrong"


def _as_text(value: object, *, text: bool) -> str | None:
    """Spell a JSON value so that one cast serves the whole column."""
    if value is None:
        return None
    if isinstance(value, _Number):
        return _WRONG if text else value
    if isinstance(value, str):
        return value
    if text or isinstance(value, dict | list):
        return _WRONG
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _row(table: pa.Table, row: int) -> dict[str, object]:
    return {name: _plain(table[name][row]) for name in table.column_names}


def _plain(value: pa.Scalar) -> object:
    """Give a value in a form that JSON can hold, whatever its type and however far its value."""
    try:
        found = value.as_py()
        readable = found.hex() if isinstance(found, bytes) else found
        canonical.dumps(readable)
    except (ArithmeticError, TypeError, ValueError, RecursionError, pa.ArrowException):
        return f"({value.type}, not readable)"
    return readable


def _extra(row: Mapping[str, object]) -> str | None:
    kept = {key: value for key, value in row.items() if value is not None}
    if not kept:
        return None
    try:
        return canonical.dumps(kept).decode()
    except TypeError:
        # The record is kept as it came; of what nobody promised this much is told.
        return canonical.dumps(dict.fromkeys(kept, "(nested too deep to keep)")).decode()


def _conform(
    columns: dict[str, pa.Array],
    count: int,
    contract: Contract,
    faults: dict[int, list[Violation]],
) -> tuple[pa.Table, dict[int, tuple[Violation, ...]]]:
    """Cast each column to its promised type; a value that cannot be becomes null and a fault."""
    typed: dict[str, pa.Array] = {}
    for each in contract.properties:
        wanted = arrow_type(each)
        given = columns.get(each.name, pa.nulls(count))
        typed[each.name], bad = _cast(given, wanted)
        for row in bad:
            faults.setdefault(row, []).append(Violation(Kind.TYPE, each.name))
    told, bad = _cast(columns.get(_OP, pa.nulls(count)), pa.string())
    operations = pc.fill_null(told, "upsert")
    unknown = _where(pc.invert(pc.is_in(operations, value_set=pa.array(OPERATIONS))))
    for row in sorted({*bad, *unknown}):
        faults.setdefault(row, []).append(Violation(Kind.OPERATION))
    typed[_OP] = operations
    return pa.table(typed), {row: tuple(violations) for row, violations in faults.items()}


def _where(mask: pa.Array) -> list[int]:
    rows: list[int] = pc.indices_nonzero(mask).to_pylist()
    return rows


def _cast(given: pa.Array, wanted: pa.DataType) -> tuple[pa.Array, list[int]]:
    """Cast a column whole; only when that fails look for the values at fault."""
    if pa.types.is_dictionary(given.type):
        given = given.dictionary_decode()
    if not _is_safe(given.type, wanted):
        return pa.nulls(len(given), wanted), _where(pc.is_valid(given))
    whole = given
    if _is_text(given.type):
        given = _but_misspelt(given, wanted)
    elif pa.types.is_decimal(wanted) and pa.types.is_integer(given.type):
        # Arrow goes by the types alone: no 64-bit integer would ever fit 18 digits.
        given = given.cast(pa.decimal128(38, wanted.scale))
    typed = _cast_parts(given, wanted)
    if pa.types.is_temporal(wanted):
        typed = pc.if_else(_within(typed), typed, None)
    if typed.null_count == whole.null_count:
        return typed, []
    return typed, _where(pc.and_(pc.is_null(typed), pc.is_valid(whole)))


def _is_text(given: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(given) or types.is_large_string(given) or types.is_string_view(given)
    )


def _is_safe(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Allow the casts that Arrow makes without changing what was said, or refuses."""
    if pa.types.is_null(given) or _is_text(given) or given == wanted:
        return True
    types = pa.types
    if types.is_integer(wanted):
        return bool(types.is_integer(given) or types.is_decimal(given) or types.is_floating(given))
    if types.is_decimal(wanted):
        return bool(types.is_integer(given) or types.is_decimal(given))
    if types.is_date(wanted):
        return bool(types.is_date(given))
    # An instant without a zone says nothing of when it was.
    return bool(types.is_timestamp(wanted) and types.is_timestamp(given) and given.tz)


def _but_misspelt(given: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Leave out the texts that a cast would take for what they are not."""
    if pa.types.is_integer(wanted):
        # Arrow would read 0x10 as sixteen.
        wrong = pc.invert(pc.match_substring_regex(given, _INTEGER))
    else:
        wrong = pc.equal(given, _WRONG)
    return pc.if_else(wrong, None, given) if pc.any(wrong).as_py() else given


def _within(values: pa.Array) -> pa.Array:
    """Tell which days and instants every reader can hold; a null is one."""
    first, last = _DAYS if pa.types.is_date(values.type) else _INSTANTS
    inside = pc.and_(
        pc.greater_equal(values, pa.scalar(first, values.type)),
        pc.less_equal(values, pa.scalar(last, values.type)),
    )
    return pc.fill_null(inside, fill_value=True)


def _cast_parts(given: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Cast as a whole, else by halves, so that few bad values cost few casts."""
    try:
        return given.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if len(given) == 1:
            return pa.nulls(1, wanted)
        half = len(given) // 2
        parts = [_cast_parts(given[:half], wanted), _cast_parts(given[half:], wanted)]
        return pa.concat_arrays(parts)

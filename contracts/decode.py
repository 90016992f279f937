"""From the body of a record to a table in the contract's types; what does not fit is named."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from contracts.model import Contract, LogicalType
from contracts.schema import arrow_type
from contracts.violations import Kind, Violation
from kernel import canonical

OPERATIONS = ("upsert", "delete")
_OP = "_op"


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
    unknown = [name for name in table.column_names if name not in known]
    extra = _extras(table.select(unknown).to_pylist()) if unknown else None

    def raw(row: int) -> bytes:
        return canonical.dumps(_readable(table.slice(row, 1).to_pylist()[0]))

    columns = {name: table[name].combine_chunks() for name in table.column_names if name in known}
    return _conform(columns, table.num_rows, contract, extra, raw)


def decode_json(body: bytes, contract: Contract, *, lines: bool) -> Decoded:
    """Read NDJSON, a JSON object or an array of objects."""
    try:
        text = body.decode("utf-8")
        if lines:
            rows = [orjson.loads(line) for line in text.split("\n") if line.strip()]
        else:
            loaded = orjson.loads(text)
            rows = loaded if isinstance(loaded, list) else [loaded]
    except (UnicodeDecodeError, orjson.JSONDecodeError) as broken:
        raise UndecodableError(str(broken)) from broken
    if not all(isinstance(row, dict) for row in rows):
        raise UndecodableError("a row is not a JSON object")
    known = [each.name for each in contract.properties]
    spare = [{k: v for k, v in row.items() if k not in known and k != _OP} for row in rows]
    texts = {each.name: each.type is LogicalType.STRING for each in contract.properties}
    columns: dict[str, pa.Array] = {}
    for name in (*known, _OP):
        values = [row.get(name) for row in rows]
        columns[name] = pa.array([_as_text(v, text=texts.get(name, True)) for v in values])

    def raw(row: int) -> bytes:
        return orjson.dumps(rows[row])

    return _conform(columns, len(rows), contract, _extras(spare) if any(spare) else None, raw)


# Stands for a value of the wrong JSON kind: no cast accepts it, and no text can hold it by chance.
_WRONG = "\x00wrong"


def _as_text(value: object, *, text: bool) -> str | None:
    """Spell a JSON value so that one cast serves the whole column."""
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if text or isinstance(value, dict | list):
        return _WRONG
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _readable(row: dict[str, object]) -> dict[str, object]:
    return {key: value.hex() if isinstance(value, bytes) else value for key, value in row.items()}


def _extras(rows: Sequence[dict[str, object]]) -> tuple[str | None, ...]:
    return tuple(
        canonical.dumps(_readable(kept)).decode()
        if (kept := {key: value for key, value in row.items() if value is not None})
        else None
        for row in rows
    )


def _conform(
    columns: dict[str, pa.Array],
    count: int,
    contract: Contract,
    extra: tuple[str | None, ...] | None,
    raw: Callable[[int], bytes],
) -> Decoded:
    """Cast each column to its promised type; a value that cannot be becomes null and a fault."""
    faults: dict[int, list[Violation]] = {}
    typed: dict[str, pa.Array] = {}
    for each in contract.properties:
        wanted = arrow_type(each)
        given = columns.get(each.name, pa.nulls(count))
        typed[each.name], bad = _cast(given, wanted)
        for row in bad:
            faults.setdefault(row, []).append(Violation(Kind.TYPE, each.name))
    operations = pc.fill_null(_cast(columns.get(_OP, pa.nulls(count)), pa.string())[0], "upsert")
    for row in _where(pc.invert(pc.is_in(operations, value_set=pa.array(OPERATIONS)))):
        faults.setdefault(row, []).append(Violation(Kind.OPERATION))
    typed[_OP] = operations
    found = {row: tuple(violations) for row, violations in faults.items()}
    return Decoded(pa.table(typed), extra, found, raw)


def _where(mask: pa.Array) -> list[int]:
    rows: list[int] = pc.indices_nonzero(mask).to_pylist()
    return rows


def _cast(given: pa.Array, wanted: pa.DataType) -> tuple[pa.Array, list[int]]:
    """Cast a column whole; only when that fails look for the values at fault."""
    if pa.types.is_dictionary(given.type):
        given = given.dictionary_decode()
    if given.type == wanted:
        if pa.types.is_string(wanted):
            wrong = pc.fill_null(pc.equal(given, _WRONG), fill_value=False)
            rows = _where(wrong)
            return (pc.if_else(wrong, None, given), rows) if rows else (given, [])
        return given, []
    if _loses(given.type, wanted):
        return pa.nulls(len(given), wanted), _where(pc.is_valid(given))
    try:
        return given.cast(wanted), []
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _cast_each(given, wanted)


def _loses(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Refuse casts that Arrow would make but that change what was said."""
    if pa.types.is_string(wanted):
        return not (pa.types.is_large_string(given) or pa.types.is_null(given))
    if pa.types.is_timestamp(wanted) and pa.types.is_timestamp(given):
        return given.tz is None
    return bool(pa.types.is_floating(given) and pa.types.is_boolean(wanted))


def _cast_each(given: pa.Array, wanted: pa.DataType) -> tuple[pa.Array, list[int]]:
    values: list[object] = []
    bad: list[int] = []
    for row, value in enumerate(given):
        try:
            values.append(value.cast(wanted).as_py())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            values.append(None)
            bad.append(row)
    return pa.array(values, type=wanted), bad

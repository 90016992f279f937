"""From the columns of a body to those that a contract promises; what does not fit is named."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from contracts.formats import iso_days
from contracts.model import Contract
from contracts.schema import arrow_type
from contracts.violations import Kind, Violation

OPERATIONS = ("upsert", "delete")
OP = "_op"
# Stands for a value of the wrong JSON kind: no cast accepts it, and no text can hold it by chance.
WRONG = "\x00wrong"
# What Python, Delta and DuckDB all hold; a day less for instants, so that every zone's view of
# one fits too.
_DAYS = (date(1, 1, 1), date(9999, 12, 31))
_INSTANTS = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
_INTEGER = r"^-?[0-9]+$"
_DIGITS = 38
_FAR = r"[eE](-0*[1-9][0-9]|\+?0*([2-9][0-9]|[1-9][0-9]{2,}))"
# Arrow multiplies by the scale without a look at its 128 bits: this holds all that is not far.
_WIDE = 76
Faults = dict[int, tuple[Violation, ...]]


def conform(
    given: pa.Table, contract: Contract, faults: dict[int, list[Violation]]
) -> tuple[pa.Table, Faults]:
    """Cast each column to its promised type; a value that cannot be becomes null and a fault."""
    count = given.num_rows
    columns = {name: given[name].combine_chunks() for name in given.column_names}
    typed: dict[str, pa.Array] = {}
    for each in contract.properties:
        wanted = arrow_type(each)
        typed[each.name], bad = _cast(columns.get(each.name, pa.nulls(count)), wanted)
        for row in bad:
            faults.setdefault(row, []).append(Violation(Kind.TYPE, each.name))
    told, bad = _cast(columns.get(OP, pa.nulls(count)), pa.string())
    operations = pc.fill_null(told, "upsert")
    unknown = _where(pc.invert(pc.is_in(operations, value_set=pa.array(OPERATIONS))))
    for row in sorted({*bad, *unknown}):
        faults.setdefault(row, []).append(Violation(Kind.OPERATION))
    typed[OP] = operations
    return pa.table(typed), {row: tuple(violations) for row, violations in faults.items()}


def _where(mask: pa.Array) -> list[int]:
    rows: list[int] = pc.indices_nonzero(mask).to_pylist()
    return rows


def _cast(given: pa.Array, wanted: pa.DataType) -> tuple[pa.Array, list[int]]:
    """Cast a column whole; only when that fails look for the values at fault."""
    if not is_safe(given.type, wanted):
        return pa.nulls(len(given), wanted), _where(pc.is_valid(given))
    whole = given
    if _is_text(given.type):
        given = _but_misspelt(given, wanted)
    if pa.types.is_decimal(wanted):
        given = _with_room(given, wanted)
    typed = _cast_parts(given, wanted)
    if pa.types.is_temporal(wanted):
        typed = pc.if_else(_within(typed), typed, None)
    if typed.null_count == whole.null_count:
        return typed, []
    return typed, _where(pc.and_(pc.is_null(typed), pc.is_valid(whole)))


def _with_room(given: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Give numbers so much room that a cast to the wanted decimal cannot wrap."""
    if pa.types.is_integer(given.type):
        # Arrow goes by the types alone: no 64-bit integer would ever fit 18 digits.
        return given.cast(pa.decimal128(_DIGITS, wanted.scale))
    if pa.types.is_decimal(given.type):
        if given.type.precision - given.type.scale + wanted.scale <= _DIGITS:
            return given
        given = _cast_parts(given, pa.decimal256(_DIGITS, given.type.scale))
    elif not _is_text(given.type) or not _may_wrap(given, wanted):
        return given
    return _cast_parts(given, pa.decimal256(_WIDE, wanted.scale))


def _is_text(given: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(given) or types.is_large_string(given))


def is_safe(given: pa.DataType, wanted: pa.DataType) -> bool:
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
    elif pa.types.is_decimal(wanted):
        wrong = pc.or_(pc.equal(given, WRONG), _far(given))
    else:
        wrong = pc.equal(given, WRONG)
    return pc.if_else(wrong, None, given) if pc.any(wrong).as_py() else given


def _far(given: pa.Array) -> pa.Array:
    """Tell the numbers of more digits, or further from the point, than any column holds."""
    far = pc.match_substring_regex(given, _FAR)
    if _longest(given) > _DIGITS:
        digits = pc.replace_substring_regex(given, "^[+-]?0+|[eE].*$|[^0-9]", "")
        far = pc.or_(far, pc.greater(pc.binary_length(digits), _DIGITS))
    return far


def _may_wrap(given: pa.Array, wanted: pa.DataType) -> bool:
    exponents = pc.any(pc.match_substring_regex(given, "[eE]")).as_py() or False
    return exponents or _longest(given) > _DIGITS - wanted.scale


def _longest(given: pa.Array) -> int:
    return pc.max(pc.binary_length(given)).as_py() or 0


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
        if pa.types.is_date(wanted) and _is_text(given.type):
            # Dear, so only for days that ISO does not spell; what it has spelt it leaves alone.
            spelt = iso_days(given)
            if not spelt.equals(given):
                return _cast_parts(spelt, wanted)
        if len(given) == 1:
            return pa.nulls(1, wanted)
        half = len(given) // 2
        parts = [_cast_parts(given[:half], wanted), _cast_parts(given[half:], wanted)]
        return pa.concat_arrays(parts)

"""PostgreSQL's values: texts of its log become what its native driver gives of the same columns."""

from collections.abc import Callable, Sequence
from datetime import time

import pyarrow as pa
import pyarrow.compute as pc

from connectors.sql.native import decimals

Texts = Sequence[object]

_PLAIN: dict[int, pa.DataType] = {
    20: pa.int64(), 21: pa.int16(), 23: pa.int32(), 700: pa.float32(), 701: pa.float64(),
    1082: pa.date32(), 1114: pa.timestamp("us"),
    1184: pa.timestamp("us", tz="UTC"),
}  # fmt: skip
_BOOL, _BYTES, _TIME, _NUMERIC = 16, 17, 1083, 1700
# char, name, text, json, fixed and variable texts, uuid, jsonb.
_TEXTS = {18, 19, 25, 114, 1042, 1043, 2950, 3802}
# Of every other type the text is taken, from the table as from the log.
KNOWN = frozenset({*_PLAIN, *_TEXTS, _BOOL, _BYTES, _TIME, _NUMERIC})


def column(texts: Texts, oid: int, modifier: int) -> pa.ChunkedArray:
    """Make a column; one that holds what its type cannot in Arrow stays text, for the gate."""
    plain = pa.chunked_array([pa.array(texts, pa.string())])
    if oid == _NUMERIC and modifier >= 0:
        return decimals(plain, modifier)
    try:
        if oid in _MADE:
            return pa.chunked_array([_MADE[oid](texts)])
        return plain.cast(_PLAIN[oid]) if oid in _PLAIN else plain
    except (pa.ArrowInvalid, ValueError):
        return plain


def _flags(texts: Texts) -> pa.Array:
    return pc.equal(pa.array(texts, pa.string()), "t")


def _bytes(texts: Texts) -> pa.Array:
    made = [None if each is None else bytes.fromhex(str(each)[2:]) for each in texts]
    return pa.array(made, pa.binary())


def _times(texts: Texts) -> pa.Array:
    made = [None if each is None else time.fromisoformat(str(each)) for each in texts]
    return pa.array(made, pa.time64("us"))


_MADE: dict[int, Callable[[Texts], pa.Array]] = {_BOOL: _flags, _BYTES: _bytes, _TIME: _times}

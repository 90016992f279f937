"""One way to write JSON and to digest bytes, so that equal facts have equal digests."""

import hashlib
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

import orjson


def _plain(value: object) -> object:
    """Give the text of what JSON has no type for; a decimal keeps its digits."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, frozenset | set):
        return sorted(value)
    message = f"{type(value).__name__} has no canonical form"
    raise TypeError(message)


def dumps(value: object) -> bytes:
    """Write JSON with sorted keys, no white space, exact decimals."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS)


def loads(text: bytes | str) -> object:
    """Read JSON."""
    parsed: object = orjson.loads(text)
    return parsed


def digest(data: bytes) -> str:
    """Name bytes by their SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: object) -> str:
    """Name a value by the digest of its canonical form."""
    return digest(dumps(value))

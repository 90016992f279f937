"""OPC UA values as texts and numbers, each with its status and its times."""

import base64
import math
from datetime import datetime
from functools import cache

from asyncua import ua

from connectors.inbox import EPOCH, micros
from kernel import canonical

# Bits of a status: a value's own information, and that the queue before it ran over.
_OVERFLOW = 0x480
_SEVERITY_AND_CODE = 0xFFFF0000

Sampled = tuple[str | None, float | None, str, int, str, int | None, int | None]
"""Value as text, as number, type, status code, its name, source time, server time."""


def sampled(data: ua.DataValue) -> Sampled:
    """Take what a value says of itself."""
    status = data.StatusCode.value if data.StatusCode else 0
    variant = data.Value
    value = variant.Value if variant else None
    kind = variant.VariantType.name if variant else "Null"
    source, server = data.SourceTimestamp, data.ServerTimestamp
    return (
        value if isinstance(value, str | None) else _text(value),
        _number(value),
        kind,
        status,
        status_name(status),
        micros(source) if source and source > EPOCH else None,
        micros(server) if server and server > EPOCH else None,
    )


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def _text(value: object) -> str:
    """Write a value as text; arrays as JSON."""
    match value:
        case bool():
            text = "true" if value else "false"
        case list():
            text = canonical.dumps([None if v is None else _text(v) for v in value]).decode()
        case datetime():
            text = value.isoformat()
        case bytes():
            text = base64.b64encode(value).decode()
        case ua.LocalizedText():
            text = value.Text or ""
        case _:
            text = str(value)
    return text


@cache
def status_name(code: int) -> str:
    """Name a status as the standard does."""
    name: str = ua.status_codes.get_name_and_doc(code & _SEVERITY_AND_CODE)[0]
    return name


def is_overflow(code: int) -> bool:
    """Tell whether the server lost older values of the same node."""
    return code & _OVERFLOW == _OVERFLOW

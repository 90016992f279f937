"""The headers of a record that librdkafka read, whatever their writer made of them."""

import gc
from collections.abc import Sequence
from typing import Protocol

from bus.ports import Headers

_Pair = tuple[str, str | bytes | None]


class Message(Protocol):
    """A record as the binding gives it."""

    def headers(self) -> Sequence[_Pair] | dict[str, str | bytes | None] | None:
        """Give the headers, if there are any."""
        ...


# In the place of headers one name of which is no text: the record is refused for them.
_UNREADABLE_HEADERS: Headers = (("", b"\xff"),)


def headers_of(message: Message) -> Headers:
    """Give the headers as bytes; librdkafka's types allow a text and a null value.

    For a name that is not UTF-8 the binding leaves a place empty, the touch of which ends the
    process, and its error may come up only at the next call.
    """
    try:
        found = message.headers() or []
        pairs = list(found.items()) if isinstance(found, dict) else found
        # The collector counts what is there without a touch.
        if len(gc.get_referents(pairs)) != len(pairs):
            return _UNREADABLE_HEADERS
        if len(gc.get_referents(*pairs)) != 2 * len(pairs):
            return _UNREADABLE_HEADERS
    except (SystemError, UnicodeDecodeError):
        return _UNREADABLE_HEADERS
    # A list, not a generator: this is done for every record.
    return tuple(
        [
            (name, value.encode() if isinstance(value, str) else value or b"")
            for name, value in pairs
        ]
    )

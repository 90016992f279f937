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
_MOST_KNOWN = 10_000


class HeaderReader:
    """Gives the headers of records as bytes; those alike are one object.

    Most senders say the same again and again, and whoever reads on can tell by the object.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[_Pair, ...], Headers] = {}

    def __call__(self, message: Message) -> Headers:
        """Read those of a record."""
        said = _said(message)
        if said is None:
            return _UNREADABLE_HEADERS
        known = self._known.get(said)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[said] = tuple(
                (name, value.encode() if isinstance(value, str) else value or b"")
                for name, value in said
            )
        return known


def _said(message: Message) -> tuple[_Pair, ...] | None:
    """Give the headers as librdkafka's types allow them: a text and a null value too.

    For a name that is not UTF-8 the binding leaves a place empty, the touch of which ends the
    process, and its error may come up only at the next call.
    """
    try:
        found = message.headers() or ()
        pairs = tuple(found.items() if isinstance(found, dict) else found)
        # The collector counts what is there without a touch.
        if len(gc.get_referents(pairs)) != len(pairs):
            return None
        if len(gc.get_referents(*pairs)) != 2 * len(pairs):
            return None
    except (SystemError, UnicodeDecodeError):
        return None
    return pairs

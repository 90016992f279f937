"""The rows of a JSON body, each as the text that it is: of a large body a part at a time."""

import json
import re
from codecs import BOM_UTF8, getincrementaldecoder
from collections.abc import Iterator, Mapping

from kernel import canonical

# Once read a row takes many times its bytes; unfolded, no record is larger.
_LARGEST_ROW = 4 << 20
_PART = 1 << 20
_LINE = re.compile(rb"[ \t\r\n]*([^\n]+)")
_SPACE = re.compile(r"[ \t\n\r]*")
# Python reads longer ones in time that grows with their square; no column holds them.
_INT_DIGITS = 18


class Number(str):
    """A JSON number by its own digits: as a float, 99999999999999.99 would be another amount."""

    __slots__ = ()


def _integer(digits: str) -> int | Number:
    return int(digits) if len(digits) <= _INT_DIGITS else Number(digits)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


_JSON = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=Number,
    parse_int=_integer,
    parse_constant=_no_constant,
)


def row_of(piece: str) -> Mapping[str, object] | None:
    """Read one row, if it is a JSON object that Arrow can hold."""
    try:
        row = _JSON.decode(piece)
        if "\\u" in piece:
            # Half a character, \ud800, is no text that a table holds; the strict reader says so.
            canonical.loads(piece)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def pieces_of(body: bytes, *, lines: bool) -> Iterator[bytes]:
    """Split lines, or an array, into rows; an object alone is the only one. Else a ValueError."""
    body = body.removeprefix(BOM_UTF8).strip()
    split = _lines if lines else _elements if body.startswith(b"[") else _alone
    for piece in split(body):
        if len(piece) > _LARGEST_ROW:
            raise ValueError(f"a row is larger than {_LARGEST_ROW} bytes")
        yield piece


def _lines(body: bytes) -> Iterator[bytes]:
    return (each[1] for each in _LINE.finditer(body))


def _alone(body: bytes) -> Iterator[bytes]:
    if len(body) <= _LARGEST_ROW and row_of(body.decode()) is None:
        raise ValueError("the body is no JSON object")
    yield body


def _elements(body: bytes) -> Iterator[bytes]:
    window = _Window(body)
    window.skip()
    if window.sign() != "]":
        while True:
            yield window.value()
            if window.sign() != ",":
                break
            window.skip()
    end = window.sign()
    window.skip()
    if end != "]" or window.sign():
        raise ValueError("the array does not end where the body does")


class _Window:
    """Goes through the text of a body; what it has passed it lets go."""

    def __init__(self, body: bytes) -> None:
        self._body, self._read = body, 0
        self._decode = getincrementaldecoder("utf-8")().decode
        self._text, self._place = "", 0

    def _is_all(self) -> bool:
        return self._read >= len(self._body)

    def _more(self) -> None:
        part = self._body[self._read : self._read + _PART]
        self._read += len(part)
        self._text = self._text[self._place :] + self._decode(part, final=self._is_all())
        self._place = 0

    def sign(self) -> str:
        """Give what comes next and is no space; nothing at the end."""
        while True:
            if found := _SPACE.match(self._text, self._place):
                self._place = found.end()
            if self._place < len(self._text) or self._is_all():
                return self._text[self._place : self._place + 1]
            self._more()

    def skip(self) -> None:
        """Pass over what comes next."""
        self.sign()
        self._place += 1

    def value(self) -> bytes:
        """Pass over one value; give its text."""
        self.sign()
        while True:
            try:
                _, end = _JSON.raw_decode(self._text, self._place)
            except ValueError:
                if self._is_all() or len(self._text) - self._place > _LARGEST_ROW:
                    raise
            else:
                # A number may go on behind the window.
                if end < len(self._text) or self._is_all():
                    piece = self._text[self._place : end].encode()
                    self._place = end
                    return piece
            self._more()

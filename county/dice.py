"""Chance that is the same everywhere and for ever: drawn from digests of a seed."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from kernel.errors import ConfigurationError

Item = TypeVar("Item")
_DRAWS = 8


class Dice:
    """A stream of numbers; another name gives another stream, so that one part can change alone."""

    def __init__(self, seed: int, name: str) -> None:
        self._start, self._made = f"{seed}/{name}/", 0
        self._left: list[int] = []

    def number(self, first: int, last: int) -> int:
        """Draw a whole number, both ends included."""
        if not self._left:
            self._made += 1
            # One digest is good for several draws.
            drawn = hashlib.sha512(f"{self._start}{self._made}".encode()).digest()
            self._left = [
                int.from_bytes(drawn[at : at + 8], "big") for at in range(0, 8 * _DRAWS, 8)
            ]
        return first + self._left.pop() % (last - first + 1)

    def one_of(self, items: Sequence[Item]) -> Item:
        """Draw one of some things."""
        if not items:
            raise ConfigurationError(
                "The county is too small for what shall be drawn from it.",
                where=self._start.rstrip("/"),
                cure="ask for more months, or for fewer faults.",
            )
        return items[self.number(0, len(items) - 1)]

    def happens(self, percent: int) -> bool:
        """Draw whether something that happens so often happens now."""
        return self.number(1, 100) <= percent

"""Chance that is the same everywhere and for ever: drawn from digests of a seed."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Dice:
    """A stream of numbers; another name gives another stream, so that one part can change alone."""

    def __init__(self, seed: int, name: str) -> None:
        self._start, self._drawn = f"{seed}/{name}", 0

    def number(self, first: int, last: int) -> int:
        """Draw a whole number, both ends included."""
        self._drawn += 1
        digest = hashlib.sha256(f"{self._start}/{self._drawn}".encode()).digest()
        return first + int.from_bytes(digest[:8], "big") % (last - first + 1)

    def one_of(self, items: Sequence[Item]) -> Item:
        """Draw one of some things."""
        return items[self.number(0, len(items) - 1)]

    def happens(self, percent: int) -> bool:
        """Draw whether something that happens so often happens now."""
        return self.number(1, 100) <= percent

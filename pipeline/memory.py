"""Memory that an agent need not hold: it idles most of its life, often on an office PC."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder

from typing_extensions import override


class _Absent(MetaPathFinder):
    def __init__(self, libraries: tuple[str, ...]) -> None:
        self._libraries = libraries

    @override
    def find_spec(self, fullname: str, path: object, target: object = None, /) -> None:
        if fullname in self._libraries:
            raise ModuleNotFoundError(name=fullname)


@contextmanager
def spared(*libraries: str) -> Iterator[None]:
    """Do without libraries that others load wherever they find them, as pyarrow does pandas."""
    absent = _Absent(libraries)
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)


def share_allocator() -> None:
    """Let Arrow take memory where all others do, if asked before it is loaded.

    Its own allocator keeps for each thread what a load has left.
    """
    os.putenv("ARROW_DEFAULT_MEMORY_POOL", "system")


def give_back() -> None:
    """Let the system have what a load has left with the allocator, where it can be asked to."""
    if sys.platform == "linux":
        # Not every C library has it.
        with suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)

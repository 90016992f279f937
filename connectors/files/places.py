"""Where files lie, and which of them are whole: a folder of this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Protocol

from connectors.files.forms import UnopenedError
from kernel.errors import DependencyUnavailableError

# What programs write beside a file while they work on it.
_UNFINISHED = ("~$*", ".*", "*.tmp", "*.part", "*.crdownload", "*.filepart")
DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as a listing shows it; its name is its path from the place, with slashes."""

    name: str
    size: int
    modified: float


class Place(Protocol):
    """Somewhere that files are dropped."""

    @property
    def product(self) -> str:
        """Give what serves it, as far as that says so."""
        ...

    def files(self) -> Iterator[Listed]:
        """List the files, those of folders inside too."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; one that is not to be had is an UnopenedError."""
        ...

    def move(self, name: str, to: str) -> None:
        """Move a file within the place, making folders; one that is there already is replaced."""
        ...

    def close(self) -> None:
        """Let go of the place."""
        ...


def fits(name: str, pattern: str, archive: str) -> bool:
    """Tell whether a file is of a pattern, not put away and not still being written."""
    return (
        fnmatchcase(name, pattern)
        and not (archive and name.startswith(f"{archive}/"))
        and not any(fnmatchcase(name.rpartition("/")[2], odd) for odd in _UNFINISHED)
    )


def matching(place: Place, pattern: str, archive: str) -> list[Listed]:
    """List the files of a pattern that nobody is still writing, the oldest first."""
    found = [each for each in place.files() if fits(each.name, pattern, archive)]
    return sorted(found, key=lambda each: (each.modified, each.name))


class Folder:
    """A folder of this machine; links out of it are not followed."""

    product = ""

    def __init__(self, path: Path) -> None:
        self._path = path

    def files(self) -> Iterator[Listed]:
        with self._telling():
            yield from self._walk(self._path, "", 0)

    def _walk(self, folder: Path, before: str, depth: int) -> Iterator[Listed]:
        with os.scandir(folder) as entries:
            for each in sorted(entries, key=lambda entry: entry.name):
                name = before + each.name
                if each.is_dir(follow_symlinks=False) and depth < DEEPEST:
                    yield from self._walk(Path(each.path), f"{name}/", depth + 1)
                elif each.is_file(follow_symlinks=False):
                    told = each.stat(follow_symlinks=False)
                    yield Listed(name, told.st_size, told.st_mtime)

    def open(self, name: str) -> BinaryIO:
        try:
            return (self._path / name).open("rb")
        except OSError as failed:
            raise UnopenedError(failed.strerror) from failed

    def move(self, name: str, to: str) -> None:
        with self._telling():
            (self._path / to).parent.mkdir(parents=True, exist_ok=True)
            (self._path / name).replace(self._path / to)

    def close(self) -> None:
        return

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as gone:
            raise DependencyUnavailableError(
                "The folder or a file of it is not there.",
                where=str(gone.filename),
                cure="create the folder, connect the share, or correct the source's folder.",
            ) from gone
        except OSError as failed:
            raise DependencyUnavailableError(
                f"The folder cannot be read: {failed.strerror}.",
                where=str(failed.filename),
                cure="let the agent's user read it, and write it where files are archived.",
            ) from failed

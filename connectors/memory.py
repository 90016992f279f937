"""What a stream's last view of its source held: files beside the outbox, named by their content."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from connectors.tables import together
from kernel import canonical
from kernel.errors import DependencyUnavailableError

_ENDING = ".arrow"


class Memory:
    """Keeps tables; a cursor names those that it needs, and the others may go.

    A file that is gone costs no row: what it held is read again as new.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, rows: pa.Table) -> str:
        """Write rows down; give the name by which they are recalled."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as out:
            out.write_table(rows)
        body = sink.getvalue()
        name = canonical.digest(body.to_pybytes())[:32]
        draft = self._folder / f"{name}.new"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(body)
                file.flush()
                # The cursor that names it survives a power cut, so it must too.
                os.fsync(file.fileno())
            draft.replace(self._folder / (name + _ENDING))
        except OSError as failed:
            raise DependencyUnavailableError(
                f"What was read cannot be remembered: {failed}.",
                where=str(self._folder),
                cure="make room on the disk, or let the agent's user write there.",
            ) from failed
        return name

    def recall(self, names: Sequence[str]) -> pa.Table | None:
        """Read what was kept by these names, as far as it is there."""
        found = [self._read(self._folder / (name + _ENDING)) for name in names]
        there = [each for each in found if each is not None]
        return together(there) if there else None

    def _read(self, path: Path) -> pa.Table | None:
        try:
            with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
                return stream.read_all()
        except (OSError, pa.ArrowInvalid):
            return None

    def forget_all_but(self, names: Iterable[str]) -> None:
        """Remove what a cursor that is safe no longer needs."""
        needed = {name + _ENDING for name in names}
        if self._folder.is_dir():
            for each in self._folder.iterdir():
                if each.name not in needed:
                    each.unlink(missing_ok=True)

"""Evidence packs for tests: opened, changed, and written anew as a sound archive."""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kernel.evidence import SigningKey
from pipeline import pack
from tests.pipeline.world import CLAIM

Change = Callable[[dict[str, bytes]], None]


def contents(path: Path) -> dict[str, bytes]:
    """Read the files of a pack."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(path: Path, files: Mapping[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    """Write files as an archive whose own checksums are right, so that only ours can notice."""
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def flipped(data: bytes, share: float = 0.5) -> bytes:
    """Flip a bit of the byte that stands so far into the data."""
    place = min(int(len(data) * share), len(data) - 1)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def resealed(path: Path, folder: Path, key: SigningKey, *changes: Change) -> Path:
    """Change a pack and seal it with the right key: what an insider could do."""
    files = {name: data for name, data in contents(path).items() if name != pack.MANIFEST}
    for change in changes:
        change(files)
    forged = folder / "resealed.zip"
    forged.write_bytes(pack.write(files, {"claim_id": CLAIM}, key))
    return forged


def table(files: Mapping[str, bytes], name: str) -> pa.Table:
    """Read a table of a pack."""
    return pq.read_table(io.BytesIO(files[name]))


def with_column(rows: pa.Table, name: str, values: list[object]) -> pa.Table:
    """Put other values in a column."""
    place = rows.schema.get_field_index(name)
    field = rows.schema.field(place)
    return rows.set_column(place, field, pa.array(values, field.type))

"""Writes the data files of an append: a file a partition.

delta-rs sorts rows into partitions row by row, which costs more than encoding them; and it knows no
columns in which one value stands for many rows, which most of a landing table's own columns are.
"""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

_ODD = re.compile(r"[^A-Za-z0-9.-]")


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that was written, its bytes, its rows, and the values of its partition."""

    path: str
    size: int
    rows: int
    values: Mapping[str, str | None]


def write_files(
    system: fs.FileSystem, folder: str, rows: pa.Table, partition_by: Sequence[str]
) -> list[DataFile]:
    """Write rows into new files of a table's folder; they count once a commit names them."""
    return [
        _write(system, folder, part, values)
        for values, part in _parts(rows, partition_by)
        if part.num_rows
    ]


def _parts(
    rows: pa.Table, partition_by: Sequence[str]
) -> Iterator[tuple[dict[str, str | None], pa.Table]]:
    """Part rows by the values of the partition columns, which the files then leave out."""
    if not partition_by:
        yield {}, rows
        return
    column, *others = partition_by
    # A dictionary may name a value twice.
    values = list(dict.fromkeys(pc.unique(rows[column]).to_pylist()))
    for value in values:
        if len(values) == 1:
            mine = rows
        else:
            wanted = pc.is_null(rows[column]) if value is None else pc.equal(rows[column], value)
            mine = rows.filter(wanted)
        for more, part in _parts(mine.drop_columns([column]), others):
            yield {column: value, **more}, part


def _write(
    system: fs.FileSystem, folder: str, rows: pa.Table, values: Mapping[str, str | None]
) -> DataFile:
    # The log tells the value; the folder's name is for people, and harmless whatever the value.
    place = "".join(f"{name}={_ODD.sub('_', str(value))}/" for name, value in values.items())
    path = f"{place}part-{secrets.token_hex(16)}.zstd.parquet"
    if place:
        system.create_dir(f"{folder}/{place}", recursive=True)
    pq.write_table(
        rows,
        f"{folder}/{path}",
        filesystem=system,
        compression="zstd",
        compression_level=1,
        # Numbers seldom repeat so often that a dictionary of them pays.
        use_dictionary=[each.name for each in rows.schema if _is_text(each.type)],
        # Arrow's own schema is left out: dictionaries are our way of writing, not the table's type.
        store_schema=False,
    )
    size = system.get_file_info(f"{folder}/{path}").size
    return DataFile(path, size, rows.num_rows, values)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_dictionary(kind))

"""Rows as the bodies of records: Arrow IPC streams that fit the bus."""

import pyarrow as pa
import pyarrow.compute as pc

from bus.envelope import ARROW_STREAM
from bus.outbox import Encoded

ROWS = 20_000
BODY_BYTES = 4 << 20
_LOOSE_BYTES = 32 << 20
# No contract allows so long a text: the gate refuses it, cut or whole, but cut it can travel.
_TEXT_LENGTH = 64 << 10
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


def encode(rows: pa.Table, version: str) -> list[Encoded]:
    """Write rows as one body or as many as the limits ask for, in order."""
    bodies: list[Encoded] = []
    for start in range(0, rows.num_rows, ROWS):
        bodies += _fit(rows.slice(start, ROWS), version)
    return bodies


def _fit(rows: pa.Table, version: str) -> list[Encoded]:
    body = _body(rows)
    if len(body) <= BODY_BYTES and rows.nbytes <= _LOOSE_BYTES:
        return [Encoded(version, ARROW_STREAM, body, rows.num_rows)]
    if rows.num_rows > 1:
        half = rows.num_rows // 2
        return _fit(rows.slice(0, half), version) + _fit(rows.slice(half), version)
    short = _cut(rows)
    return [Encoded(version, ARROW_STREAM, _body(short), 1)]


def _body(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    # Without metadata the same rows give the same bytes, wherever they came from.
    plain = rows.replace_schema_metadata(None).combine_chunks()
    with pa.ipc.new_stream(sink, plain.schema, options=_OPTIONS) as stream:
        stream.write_table(plain)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _cut(rows: pa.Table) -> pa.Table:
    """Shorten the texts of a row that no record could carry."""
    for at, field in enumerate(rows.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            short = pc.utf8_slice_codeunits(rows.column(at), 0, _TEXT_LENGTH)
            rows = rows.set_column(at, field.name, short)
        elif pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            short = pc.binary_slice(rows.column(at), 0, _TEXT_LENGTH)
            rows = rows.set_column(at, field.name, short)
    return rows

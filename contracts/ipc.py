"""How much an Arrow IPC stream unfolds to, told before anything is unfolded."""

import struct
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

# Flatbuffers: where a table's fields lie, by their number in Arrow's Message.fbs.
_MESSAGE_HEADER, _BATCH_BUFFERS, _BATCH_COMPRESSION, _DICTIONARY_BATCH = 2, 2, 3, 1


def unfolded_bytes(body: bytes) -> int:
    """Add up what the compressed buffers of a stream say they unfold to.

    A buffer that lies about it is refused by Arrow itself when it is unfolded.
    """
    total = 0
    reader = pa.BufferReader(body)
    while True:
        try:
            message = pa.ipc.read_message(reader)
        except EOFError:
            return total
        total += sum(_lengths(message.metadata.to_pybytes(), message))


def _lengths(metadata: bytes, message: pa.ipc.Message) -> Iterator[int]:
    batch = _Table(metadata, struct.unpack_from("<I", metadata, 0)[0]).table(_MESSAGE_HEADER)
    if message.type == "dictionary" and batch is not None:
        batch = batch.table(_DICTIONARY_BATCH)
    elif message.type != "record batch":
        return
    if batch is None or batch.table(_BATCH_COMPRESSION) is None or message.body is None:
        return
    body = memoryview(message.body)
    for offset, length in batch.pairs(_BATCH_BUFFERS):
        if length:
            # Minus one means that this buffer was not worth folding.
            yield max(struct.unpack_from("<q", body, offset)[0], 0)


class _Table:
    """A flatbuffers table: enough of the format to walk to a batch's buffers."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - struct.unpack_from("<i", data, at)[0]

    def _place(self, field: int) -> int | None:
        entry = 4 + 2 * field
        if entry >= struct.unpack_from("<H", self._data, self._fields)[0]:
            return None
        offset = struct.unpack_from("<H", self._data, self._fields + entry)[0]
        return self._at + offset if offset else None

    def _follow(self, field: int) -> int | None:
        place = self._place(field)
        return None if place is None else place + struct.unpack_from("<I", self._data, place)[0]

    def table(self, field: int) -> "_Table | None":
        place = self._follow(field)
        return None if place is None else _Table(self._data, place)

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """Read a vector of structs of two 64-bit numbers."""
        place = self._follow(field)
        if place is None:
            return []
        (count,) = struct.unpack_from("<I", self._data, place)
        return list(struct.iter_unpack("<qq", self._data[place + 4 : place + 4 + 16 * count]))


_VIEWS = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
# A view is its length, what it shows of a short text, and where a long one lies: four numbers.
_VIEW_NUMBERS = 4


def unviewed(table: pa.Table, largest: int) -> pa.Table:
    """Write columns of views out, all together as far as a body may unfold."""
    size = 0
    for at, field in enumerate(table.schema):
        if field.type in _VIEWS:
            size += sum(map(_shown_bytes, table.column(at).chunks))
            if size > largest:
                raise ValueError(f"{field.name} unfolds to more than a body may")
            written = table.column(at).cast(_VIEWS[field.type])
            table = table.set_column(at, field.name, written)
    return table


def _shown_bytes(views: pa.Array) -> int:
    """Add up the lengths that views tell; many may show the same text."""
    if not views:
        return 0
    numbers = memoryview(views.buffers()[1]).cast("i")
    first, end = (_VIEW_NUMBERS * at for at in (views.offset, views.offset + len(views)))
    # Where a null stands any number may be written.
    return sum(max(length, 0) for length in numbers[first:end:_VIEW_NUMBERS])


def undictionaried(table: pa.Table, largest: int) -> pa.Table:
    """Write dictionary columns out, all together as far as a body may unfold."""
    size = 0
    for at, field in enumerate(table.schema):
        if not pa.types.is_dictionary(field.type):
            continue
        if _is_long(field.type.value_type):
            size += sum(
                pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py() or 0
                for chunk in table.column(at).chunks
            )
            if size > largest:
                raise ValueError(f"{field.name} unfolds to more than a body may")
        elif not is_plain(field.type.value_type):
            raise ValueError(f"{field.name} is of a type that is not read")
        table = table.set_column(at, field.name, table.column(at).cast(field.type.value_type))
    return table


def _is_long(given: pa.DataType) -> bool:
    """Tell types each of whose values may be of any length."""
    types = pa.types
    return bool(
        types.is_string(given)
        or types.is_large_string(given)
        or types.is_binary(given)
        or types.is_large_binary(given)
    )


def is_plain(given: pa.DataType) -> bool:
    """Tell types whose values are as large as their bytes; others may stand for far more."""
    types = pa.types
    return bool(
        types.is_null(given)
        or types.is_primitive(given)
        or types.is_decimal(given)
        or _is_long(given)
    )

"""Modbus registers and their values: which to read together, what their words mean."""

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa

BIT_TABLES = ("coil", "discrete")
TABLES = (*BIT_TABLES, "holding", "input")
_LAYOUT = {
    "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d",
}  # fmt: skip
TYPES = (*_LAYOUT, "bit", "string")
ORDERS = ("big", "little")
_BLOCK_BITS = 2000
_DIGITS = 38

Value = bool | int | float | str | Decimal | None


@dataclass(frozen=True, slots=True)
class Register:
    """A named value of a device, and the registers that hold it."""

    name: str
    table: str
    address: int
    type: str
    bit: int = 0
    length: int = 1
    words: str = "big"
    bytes: str = "big"
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)

    @property
    def count(self) -> int:
        """Count the registers that hold it."""
        if self.type in _LAYOUT:
            return struct.calcsize(f">{_LAYOUT[self.type]}") // 2
        return self.length if self.type == "string" else 1

    @property
    def column(self) -> pa.DataType:
        """Name the type of its column, which never depends on a value."""
        if self.type == "string":
            return pa.string()
        if self.type == "bit":
            return pa.bool_()
        if self.type in ("f32", "f64"):
            return pa.float64()
        if self._is_scaled:
            return pa.decimal128(_DIGITS, self._places)
        return pa.decimal128(_DIGITS) if self.type == "u64" else pa.int64()

    @property
    def _is_scaled(self) -> bool:
        return self.scale != 1 or self.offset != 0

    @property
    def _places(self) -> int:
        exponents = [int(each.as_tuple().exponent) for each in (self.scale, self.offset)]
        return max(0, *(-each for each in exponents))

    def value(self, found: Sequence[int] | Sequence[bool]) -> Value:
        """Read the value out of its registers; what is no number is no value."""
        if self.table in BIT_TABLES:
            return bool(found[0])
        swapped = self.words == "little" and self.type in _LAYOUT
        ordered = list(reversed(found)) if swapped else found
        order = ">" if self.bytes == "big" else "<"
        raw = b"".join(struct.pack(f"{order}H", word) for word in ordered)
        if self.type == "bit":
            return bool(int.from_bytes(raw, "big") >> self.bit & 1)
        if self.type == "string":
            return raw.split(b"\0")[0].decode("utf-8", errors="replace").strip()
        (number,) = struct.unpack(f">{_LAYOUT[self.type]}", raw)
        if isinstance(number, float):
            scaled = number * float(self.scale) + float(self.offset)
            return scaled if math.isfinite(scaled) else None
        return Decimal(number) * self.scale + self.offset if self._is_scaled else number


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring registers of one table, read at once."""

    table: str
    start: int
    count: int


def blocks(registers: Iterable[Register], most: int) -> list[Block]:
    """Plan the reads: neighbours together, gaps never, for a device refuses what it has not."""
    spans = sorted({(each.table, each.address, each.address + each.count) for each in registers})
    found: list[Block] = []
    for table, start, end in spans:
        limit = _BLOCK_BITS if table in BIT_TABLES else most
        last = found[-1] if found else None
        if last and last.table == table and start <= last.start + last.count:
            count = max(end, last.start + last.count) - last.start
            if count <= limit:
                found[-1] = Block(table, last.start, count)
                continue
        found.append(Block(table, start, end - start))
    return found

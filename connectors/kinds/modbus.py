"""Reads Modbus TCP: a register map per stream, a row per device and poll."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
from pydantic import TypeAdapter
from typing_extensions import override

from connectors.base import Connector, NoCatalogueError, Offer, Page, Sample, Source, StreamPlan
from connectors.extras import extra
from connectors.fields import Fields
from connectors.registers import BIT_TABLES, ORDERS, TABLES, TYPES, Register, Value, blocks
from kernel import canonical, clock
from kernel.errors import ConfigurationError, NplusxError, as_one

PORT = 502
TIMEOUT_SECONDS = 3
# What the protocol allows in one answer.
BLOCK_REGISTERS = 125
_LAST_ADDRESS = 65_535
_MOMENT = pa.timestamp("us", tz="UTC")
_OWN_COLUMNS = ("machine", "time", "time_before")
EXAMPLE = {"host": "192.0.2.20", "machines": [{"code": "EQ01", "unit": 1}]}


@dataclass(frozen=True, slots=True)
class ModbusStream:
    """The values of a device, and those whose change alone makes a row; none: every poll does."""

    registers: tuple[Register, ...]
    on_change: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """A device by the code that the factory gives it."""

    code: str
    unit: int


@dataclass(frozen=True, slots=True)
class ModbusSource:
    """A device or a gateway, and the devices behind it."""

    host: str
    machines: tuple[Machine, ...]
    port: int = PORT
    timeout_seconds: int = TIMEOUT_SECONDS
    block_registers: int = BLOCK_REGISTERS


_Plan = StreamPlan[ModbusStream]
# The last row of each device: when, and its values by name.
_Last = tuple[str, dict[str, Value]]
_Before = dict[str, _Last]
_CURSOR = TypeAdapter(dict[str, tuple[str, dict[str, bool | int | float | str | None]]])


def stream_of(fields: Fields) -> ModbusStream:
    """Read what a preset says of a stream."""
    registers = tuple(_register(each) for each in fields.sections("registers"))
    on_change = fields.texts("on_change", ())
    counted = Counter([*_OWN_COLUMNS, *(each.name for each in registers)])
    twice = [name for name, count in counted.items() if count > 1]
    unknown = [name for name in on_change if name not in counted]
    if twice or unknown:
        raise ConfigurationError(
            f"The registers' names do not fit: {', '.join([*twice, *unknown])}.",
            where="preset, registers",
            cure="give each register a name of its own, and name only those in `on_change`.",
        )
    return ModbusStream(registers, on_change)


def _register(fields: Fields) -> Register:
    table = fields.choice("table", TABLES, "holding")
    register = Register(
        name=fields.text("name"),
        table=table,
        address=fields.whole("address", least=0, most=_LAST_ADDRESS),
        type=fields.choice("type", TYPES, "bit" if table in BIT_TABLES else None),
        bit=fields.whole("bit", 0, least=0, most=15),
        length=fields.whole("length", 1, most=BLOCK_REGISTERS),
        words=fields.choice("words", ORDERS, "big"),
        bytes=fields.choice("bytes", ORDERS, "big"),
        scale=fields.decimal("scale", Decimal(1)),
        offset=fields.decimal("offset", Decimal(0)),
    )
    fields.done()
    return register


def way_of(fields: Fields) -> ModbusSource:
    """Read what an agent's file says of a device or a gateway."""
    return ModbusSource(
        host=fields.text("host"),
        machines=tuple(_machine(each) for each in fields.sections("machines")),
        port=fields.whole("port", PORT),
        timeout_seconds=fields.whole("timeout_seconds", TIMEOUT_SECONDS),
        block_registers=min(fields.whole("block_registers", BLOCK_REGISTERS), BLOCK_REGISTERS),
    )


def _machine(fields: Fields) -> Machine:
    machine = Machine(fields.text("code"), fields.whole("unit", 1, least=0, most=255))
    fields.done()
    return machine


def open_source(source: Source[ModbusSource]) -> "ModbusConnector":
    """Get ready to read a device; nothing is asked of it yet."""
    return ModbusConnector(source)


class ModbusConnector(Connector[ModbusStream]):
    """Polls when it is read; what happened between two polls, no register tells."""

    def __init__(self, source: Source[ModbusSource]) -> None:
        with extra("modbus"):
            from connectors.wires.modbus import ModbusLink
        self._way = source.way
        self._link = ModbusLink(source.way.host, source.way.port, source.way.timeout_seconds)

    @override
    def read(self, plan: _Plan, cursor: str | None) -> Page:
        before = _loads(cursor, plan.how)
        after = dict(before)
        now = clock.now()
        found, failed = self._poll(plan)
        rows = []
        for code, values in found.items():
            last = before.get(code)
            if last and not _is_news(values, last[1], plan.how):
                continue
            rows.append((code, now, values, last))
            after[code] = (now.isoformat(), values)
        holes = tuple(f"{code} was not read at {now:%F %T}Z: {w}" for code, w in failed.items())
        return Page(
            _table(rows, plan.how) if rows else None, _dumps(after), more=False, holes=holes
        )

    @override
    def sample(self, plan: _Plan) -> Sample:
        now = clock.now()
        found, failed = self._poll(plan)
        table = _table([(code, now, values, None) for code, values in found.items()], plan.how)
        if not failed:
            return Sample(table)
        wrong = as_one(failed)
        return Sample(table, wrong.what, wrong.cure)

    @override
    def discover(self) -> Iterator[Offer]:
        raise NoCatalogueError(
            "Modbus has no catalogue.",
            where=self._way.host,
            cure="write the registers of the maker's manual into a preset.",
        )

    @property
    @override
    def passing(self) -> str:
        return "A register has no past: each question makes a row of its own."

    @override
    def close(self) -> None:
        self._link.close()

    def _poll(self, plan: _Plan) -> tuple[dict[str, dict[str, Value]], dict[str, NplusxError]]:
        """Read every device; one that does not answer is not the others' trouble."""
        found: dict[str, dict[str, Value]] = {}
        failed: dict[str, NplusxError] = {}
        for machine in self._way.machines:
            try:
                found[machine.code] = self._values(plan.how.registers, machine.unit)
            except NplusxError as wrong:
                failed[machine.code] = wrong
        if not found:
            raise as_one(failed)
        return found, failed

    def _values(self, registers: Sequence[Register], unit: int) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for block in blocks(registers, self._way.block_registers):
            words = self._link.read(block.table, block.start, block.count, unit)
            for each in registers:
                at = each.address - block.start
                if each.table == block.table and at >= 0 and at + each.count <= block.count:
                    values[each.name] = each.value(words[at : at + each.count])
        return values


def _is_news(values: Mapping[str, Value], last: Mapping[str, Value], how: ModbusStream) -> bool:
    watched = how.on_change
    return not watched or any(values[name] != last.get(name) for name in watched)


def _table(
    rows: Sequence[tuple[str, datetime, Mapping[str, Value], _Last | None]], how: ModbusStream
) -> pa.Table:
    """Put the devices' values into columns, each beside that of the row before."""
    lasts = [last for _, _, _, last in rows]
    columns: dict[str, pa.Array] = {
        "machine": pa.array([code for code, _, _, _ in rows], pa.string()),
        "time": pa.array([at for _, at, _, _ in rows], _MOMENT),
        "time_before": pa.array(
            [datetime.fromisoformat(last[0]) if last else None for last in lasts], _MOMENT
        ),
    }
    for each in how.registers:
        now = [values[each.name] for _, _, values, _ in rows]
        then = [last[1].get(each.name) if last else None for last in lasts]
        columns[each.name] = pa.array(now, each.column)
        columns[f"{each.name}_before"] = pa.array(then, each.column)
    return pa.table(columns)


def _dumps(rows: _Before) -> str:
    return canonical.dumps({code: [at, values] for code, (at, values) in rows.items()}).decode()


def _loads(text: str | None, how: ModbusStream) -> _Before:
    """Read a cursor; a register that it does not know had no value."""
    columns = {each.name: each.column for each in how.registers}
    try:
        loaded = _CURSOR.validate_json(text or "{}")
        return {
            code: (at, {n: _typed(v, columns[n]) for n, v in values.items() if n in columns})
            for code, (at, values) in loaded.items()
        }
    except (ValueError, ArithmeticError) as broken:
        raise ConfigurationError(
            "The cursor of the stream cannot be read.",
            where="the agent's outbox",
            cure="give the agent a new outbox file; the values before are then unknown once.",
        ) from broken


def _typed(value: Value, column: pa.DataType) -> Value:
    is_exact = pa.types.is_decimal(column) and value is not None
    return Decimal(str(value)) if is_exact else value

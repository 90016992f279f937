"""The modbus kind: every type read as it is meant, a silent device named, nothing else held up."""

import struct
import sys
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from threading import Event

import pytest
import structlog
from pymodbus.client import ModbusTcpClient

from connectors.base import Source, StreamPlan
from connectors.config import load_agent
from connectors.fields import Fields
from connectors.kinds import modbus
from connectors.kinds.modbus import Machine, ModbusConnector, ModbusSource, ModbusStream
from connectors.registers import Block, Register, blocks
from connectors.registry import find
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import ContractId, SourceId
from pipeline import trial
from pipeline.publish import run_agent
from tests.connectors.machines.landing import agent_of, landed
from tests.connectors.machines.modbus_device import BUSY
from tests.connectors.machines.processes import Program
from tests.connectors.reading import mapped
from tests.pipeline.world import World

ENERGY = ContractId("mes.energy_reading.v1")
STATE = ContractId("mes.equipment_state.v1")
U16 = Register("x", "holding", 0, "u16")


def write(device: Program, address: int, words: list[int], unit: int = 1) -> None:
    with ModbusTcpClient("127.0.0.1", port=device.port) as client:
        assert not client.write_registers(address, words, device_id=unit).isError()


def words_of(layout: str, value: float) -> list[int]:
    raw = struct.pack(f">{layout}", value)
    return list(struct.unpack(f">{len(raw) // 2}H", raw))


def plan(*registers: Register, on_change: tuple[str, ...] = ()) -> StreamPlan[ModbusStream]:
    return StreamPlan(STATE, "1.2.0", "select * from rows", ModbusStream(registers, on_change))


def connector(port: int, *units: int, **more: int) -> ModbusConnector:
    machines = tuple(Machine(f"M{unit}", unit) for unit in units or (1,))
    way = ModbusSource("127.0.0.1", machines, port, timeout_seconds=1)
    return ModbusConnector(Source(SourceId("plc"), "modbus_machine", replace(way, **more)))


def fields(**said: object) -> Fields:
    return Fields(said, Path("preset.yaml"))


def test_neighbours_are_read_together_and_gaps_never() -> None:
    registers = [
        replace(U16, address=at, type=kind, table=table)
        for at, kind, table in (
            (0, "f64", "holding"), (4, "u32", "holding"), (5, "u16", "holding"),
            (7, "u16", "holding"), (7, "u16", "input"),
        )
    ]  # fmt: skip
    assert blocks(registers, 125) == [
        Block("holding", 0, 6), Block("holding", 7, 1), Block("input", 7, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [124, 125, 126])
def test_a_block_is_never_larger_than_what_a_device_answers(size: int) -> None:
    found = blocks([replace(U16, address=at) for at in range(size)], 125)
    assert [each.count for each in found] == ([size] if size <= 125 else [125, 1])


@pytest.mark.parametrize(
    ("register", "words", "value"),
    [
        (U16, [0xFFFF], 65535),
        (replace(U16, type="i16"), [0xFFFF], -1),
        (replace(U16, type="u32"), [1, 2], 65538),
        (replace(U16, type="u32", words="little"), [2, 1], 65538),
        (replace(U16, type="u32", words="little", bytes="little"), [0x0200, 0x0100], 65538),
        (replace(U16, type="i32", bytes="little"), [0xFFFF, 0xFEFF], -2),
        (replace(U16, type="u64"), [0xFFFF] * 4, 2**64 - 1),
        (replace(U16, type="i64"), [0xFFFF] * 4, -1),
        (replace(U16, type="f32"), words_of("f", 404.25), 404.25),
        (replace(U16, type="f64", words="little"), words_of("d", -505.78)[::-1], -505.78),
        (replace(U16, type="f32"), [0x7FC0, 0], None),
        (replace(U16, type="bit", bit=3), [0b1000], True),
        (replace(U16, type="bit", bit=2), [0b1000], False),
        (replace(U16, type="string", length=3), [0x4142, 0x4300, 0x5A5A], "ABC"),
        (replace(U16, type="string", length=2, bytes="little"), [0x4241, 0x2043], "ABC"),
        (replace(U16, scale=Decimal("0.1")), [3], Decimal("0.3")),
        (replace(U16, scale=Decimal("0.1"), offset=Decimal(-40)), [5], Decimal("-39.5")),
    ],
)  # fmt: skip
def test_a_value_is_read_as_its_maker_wrote_it(
    register: Register, words: list[int], value: object
) -> None:
    assert register.value(words) == value


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"registers": [{"name": "a", "address": 0, "type": "u8"}]}, "type"),
        ({"registers": [{"name": "a", "address": -1, "type": "u16"}]}, "whole number from 0"),
        ({"registers": [{"name": "a", "address": 0, "type": "u16", "scale": 0.1}]}, "in quotes"),
        ({"registers": [{"name": "a", "address": 0, "type": "u16", "word": "big"}]}, "not a key"),
        ({"registers": [{"name": "time", "address": 0, "type": "u16"}]}, "names do not fit: time"),
        (
            {"registers": [{"name": "a", "address": 0, "type": "u16"}], "on_change": ["b"]},
            "names do not fit: b",
        ),
    ],
)
def test_a_register_map_that_means_nothing_is_refused(said: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        modbus.stream_of(fields(**said))


def test_what_an_agents_file_says_is_read() -> None:
    said = fields(host="plc", port=1502, machines=[{"code": "EQ1", "unit": 7}], block_registers=999)
    assert modbus.way_of(said) == ModbusSource("plc", (Machine("EQ1", 7),), 1502, 3, 125)


def test_without_its_library_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "connectors.wires.modbus", raising=False)
    monkeypatch.setitem(sys.modules, "pymodbus.client", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'nplusx\[modbus\]'"):
        connector(9)


@pytest.mark.real_system
class TestDevice:
    """What only a device tells."""

    def test_a_device_that_is_not_there_is_named(self, caplog: pytest.LogCaptureFixture) -> None:
        silent = connector(9)
        with pytest.raises(DependencyUnavailableError, match=r"M1: .*cannot be reached.*host"):
            silent.read(plan(U16), None)
        with pytest.raises(ConfigurationError, match="no catalogue"):
            silent.discover()
        silent.close()
        # The library would tell it too, in its own words, each time.
        assert caplog.messages == []

    def test_each_value_stands_beside_the_one_before(self, device: Program) -> None:
        scaled = Register("kwh", "input", 0, "u32", scale=Decimal("0.01"))
        big = Register("big", "holding", 20, "u64")
        how = plan(scaled, big)
        reader = connector(device.port)
        write(device, 0, words_of("I", 1025050))
        write(device, 20, [0xFFFF] * 4)
        first = reader.read(how, None)
        write(device, 0, words_of("I", 1025175))
        second = reader.read(how, first.cursor)
        assert first.rows is not None
        assert second.rows is not None
        (before,), (after,) = first.rows.to_pylist(), second.rows.to_pylist()
        assert (before["kwh"], before["kwh_before"]) == (Decimal("10250.50"), None)
        assert (after["kwh"], after["kwh_before"]) == (Decimal("10251.75"), Decimal("10250.50"))
        assert (after["big"], after["big_before"]) == (2**64 - 1, 2**64 - 1)
        assert after["time_before"] == before["time"] < after["time"]
        assert first.rows.schema == second.rows.schema
        reader.close()

    def test_only_a_change_of_what_is_watched_makes_a_row(self, device: Program) -> None:
        how = plan(U16, replace(U16, name="y", address=1), on_change=("x",))
        reader = connector(device.port)
        write(device, 0, [1, 1])
        first = reader.read(how, None)
        write(device, 1, [2])
        same = reader.read(how, first.cursor)
        assert (same.rows, same.cursor) == (None, first.cursor)
        write(device, 0, [2])
        changed = reader.read(how, same.cursor)
        assert changed.rows is not None
        (row,) = changed.rows.to_pylist()
        assert (row["x_before"], row["x"], row["y_before"], row["y"]) == (1, 2, 1, 2)
        reader.close()

    def test_coils_are_read_as_bits(self, device: Program) -> None:
        write(device, 3, [0b10])
        coils = [Register(f"c{n}", "coil", 48 + n, "bit") for n in range(2)]
        reader = connector(device.port)
        page = reader.read(plan(*coils), None)
        assert page.rows is not None
        (row,) = page.rows.to_pylist()
        assert (row["c0"], row["c1"]) == (False, True)
        reader.close()

    def test_a_silent_unit_is_a_hole_and_not_the_others_trouble(self, device: Program) -> None:
        reader = connector(device.port, 1, 9)
        page = reader.read(plan(U16), None)
        assert page.rows is not None
        assert page.rows.column("machine").to_pylist() == ["M1"]
        (hole,) = page.holes
        assert "M9 was not read at" in hole
        assert "has failed" in hole
        sample = reader.sample(plan(U16))
        assert "M9" in sample.problem
        reader.close()

    @pytest.mark.parametrize(
        ("register", "kind", "says"),
        [
            (replace(U16, address=300), ConfigurationError, "no such registers.*holding 300"),
            (replace(U16, address=BUSY), DependencyUnavailableError, "is busy"),
        ],
    )
    def test_a_refusal_says_what_to_do(
        self, device: Program, register: Register, kind: type[Exception], says: str
    ) -> None:
        reader = connector(device.port)
        with pytest.raises(kind, match=says):
            reader.read(plan(register), None)
        # Another stream of the same device goes on.
        assert reader.read(plan(U16), None).rows is not None
        reader.close()

    def test_a_device_that_restarts_is_read_on(self, device: Program) -> None:
        reader = connector(device.port)
        first = reader.read(plan(U16), None)
        device.kill()
        with pytest.raises(DependencyUnavailableError, match="M1: The device"):
            reader.read(plan(U16), first.cursor)
        device.start()
        again = reader.read(plan(U16), first.cursor)
        assert again.rows is not None
        assert first.rows is not None
        assert again.rows["time_before"].to_pylist() == first.rows["time"].to_pylist()
        reader.close()

    def test_a_cursor_that_is_not_ours_is_refused(self, device: Program) -> None:
        reader = connector(device.port)
        for text in ("[]", '{"M1": 1}', "x"):
            with pytest.raises(ConfigurationError, match="cursor"):
                reader.read(plan(U16), text)
        reader.close()

    def test_states_and_readings_of_the_sample_preset_land(
        self, device: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World(tmp_path, monkeypatch)
        source = (
            f"- id: plc\n  preset: modbus_machine\n  host: 127.0.0.1\n  port: {device.port}\n"
            "  machines:\n  - {code: EQ01, unit: 1}\n  - {code: EQ09, unit: 9}\n"
        )
        agent = agent_of(world, tmp_path, source, ENERGY, STATE)
        for state, pieces, energy in ((2, 0, 1000), (2, 30, 1500), (4, 55, 2250)):
            write(device, 0, [*words_of("I", energy), *words_of("f", 7.5)[::-1]])
            write(device, 10, [state, 101 if state == 4 else 0, *words_of("I", pieces)])
            report = agent.round()
            assert report.is_clean, report
            assert all("EQ09 was not read" in stream.holes[0] for stream in report.streams)
        agent.close()
        readings = landed(world, ENERGY)
        assert [(row["reading_qty"], row["used_qty"], row["power_kw"]) for row in readings] == [
            (Decimal(15), Decimal(5), Decimal("7.5")),
            (Decimal("22.5"), Decimal("7.5"), Decimal("7.5")),
        ]  # fmt: skip
        states = landed(world, STATE)
        assert [(row["state"], row["alarm_code"], row["produced_qty"]) for row in states] == [
            ("running", None, None), ("running", None, Decimal(55)), ("fault", "101", None),
        ]  # fmt: skip
        assert states[1]["ended_at"] == states[2]["started_at"] != states[0]["started_at"]
        assert isinstance(states[0]["started_at"], datetime)
        assert states[0]["started_at"] == states[1]["started_at"]

    def test_the_preset_fits_what_the_device_answers(self, device: Program) -> None:
        reader = connector(device.port)
        for stream in find("modbus_machine").streams:
            table = mapped(reader.read(stream, None), stream)
            assert table is not None
            assert "_op" in table.column_names
        reader.close()

    def test_a_hole_is_told_in_the_agents_log(
        self, device: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world, stop = World(tmp_path, monkeypatch), Event()
        source = (
            f"- id: plc\n  preset: modbus_machine\n  host: 127.0.0.1\n  port: {device.port}\n"
            "  machines:\n  - {code: EQ01, unit: 1}\n  - {code: EQ09, unit: 9}\n"
        )
        agent_of(world, tmp_path, source, ENERGY, STATE).close()
        monkeypatch.setattr("pipeline.publish._wait", lambda *_: stop.set())
        with structlog.testing.capture_logs() as told:
            run_agent(tmp_path / "machines.yaml", stop, world.bus)
        assert [each["event"] for each in told] == ["data are missing"] * 2
        assert all("EQ09 was not read at" in str(each["why"]) for each in told)

    def test_the_first_reading_is_waited_for(self, device: Program, tmp_path: Path) -> None:
        (tmp_path / "plc.yaml").write_text(
            "agent: {id: a, enterprise: 91330523719500014U, key_file: a.key, outbox: a.sqlite}\n"
            f"sources:\n- id: plc\n  preset: modbus_machine\n  host: 127.0.0.1\n"
            f"  port: {device.port}\n  machines:\n  - {{code: EQ01, unit: 1}}\n"
        )
        config = load_agent(tmp_path / "plc.yaml")
        # What was used is known when the meter was read twice.
        tried = trial.read(config, config.sources[0], ENERGY)
        assert tried.rows is not None
        assert tried.rows["used_qty"].to_pylist() == [Decimal(0)]

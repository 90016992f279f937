"""Stands of a web interface, an OPC UA server, an edge node and a PLC."""

# ruff: noqa: S608 - the statements are the test's own

from contextlib import ExitStack, closing
from pathlib import Path

from asyncua import ua
from asyncua.sync import Client
from pymodbus.client import ModbusTcpClient
from typing_extensions import override

from connectors.base import Connector, Source, StreamPlan
from connectors.fields import Fields
from connectors.kinds import rest
from connectors.kinds.modbus import Machine, ModbusConnector, ModbusSource, ModbusStream
from connectors.kinds.rest import RestConnector, RestSource
from connectors.kinds.sparkplug import SparkplugConnector, SparkplugSource, SparkplugStream
from connectors.opcua_plan import Machine as OpcuaMachine
from connectors.opcua_plan import OpcuaStream
from connectors.registers import Register
from kernel.ids import SourceId
from tests.connectors.acceptance.stand import KEYS, ODD, Stand, quoted
from tests.connectors.acceptance.tables import PAGE, ROW
from tests.connectors.machines import opcua_reading
from tests.connectors.machines.broker import EdgeNode
from tests.connectors.machines.opcua_server import URI
from tests.connectors.machines.processes import Program
from tests.connectors.web.server import Answer, Asked, serving


class RestStand(Stand):
    """Things behind pages of JSON; all of them are read each time, and compared."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._things = folder, dict[str | None, str]()
        self._server = stack.enter_context(serving(self._answer))
        said = {
            "ask": {"path": "things", "query": {"page": "{page}"}},
            "rows": "list", "columns": ["id", ODD], "keys": ["id"],
            "paging": {"by": "page", "limit": PAGE},
        }  # fmt: skip
        how = rest.stream_of(Fields(said, Path("preset.yaml")))
        mapping = f"select id as key, {quoted(ODD)} as note, _op from rows"
        self.plan = StreamPlan(ROW, "1.0.0", mapping, how)

    def _answer(self, asked: Asked) -> Answer:
        start = (int(asked.query["page"]) - 1) * PAGE
        rows = [{"id": key, ODD: note} for key, note in self._things.items()]
        return Answer({"list": rows[start : start + PAGE]})

    @override
    def open(self) -> Connector[object]:
        way = RestSource(self._server.way())
        return RestConnector(Source(SourceId("s"), "none", way, memory=self._folder))

    @override
    def put(self, key: str | None, note: str) -> None:
        self._things[key] = note

    @override
    def remove(self, key: str) -> None:
        del self._things[key]


class OpcuaStand(Stand):
    """Variables of a server, whose names are odd."""

    quiet_seconds = 0.6
    has_null_keys = has_deletes = False

    def __init__(self, server: Program, stack: ExitStack) -> None:
        self._server = server
        self._client = stack.enter_context(Client(opcua_reading.url(server)))
        self._index = self._client.get_namespace_index(URI)
        how = OpcuaStream(("*",), opcua_reading.QUICK)
        mapping = "select browse_path as key, value as note, _op from rows"
        self.plan = StreamPlan(ROW, "1.0.0", mapping, how)

    @override
    def open(self) -> Connector[object]:
        odd = OpcuaMachine("M", f"nsu={URI};s=Odd")
        return opcua_reading.connector(opcua_reading.url(self._server), odd)

    @override
    def put(self, key: str | None, note: str) -> None:
        node = self._client.get_node(ua.NodeId(key, self._index))
        node.write_value(note, ua.VariantType.String)


class SparkplugStand(Stand):
    """Metrics of a device, whose names are odd; each birth tells all of them again."""

    quiet_seconds = 1.0
    has_null_keys = has_deletes = False
    tells_again = True

    def __init__(self, broker: Program, stack: ExitStack) -> None:
        self._broker, self._node = broker, EdgeNode(broker)
        stack.callback(self._node.kill)
        self._born, self._metrics = False, dict[str, str]()
        mapping = "select metric as key, value as note, _op from rows where device = 'press1'"
        self.plan = StreamPlan(ROW, "1.0.0", mapping, SparkplugStream(("*",)))

    @override
    def open(self) -> Connector[object]:
        url = f"mqtt://127.0.0.1:{self._broker.port}"
        way = SparkplugSource(url, "county", ("+",), timeout_seconds=5)
        made = SparkplugConnector(Source(SourceId("gw"), "none", way))
        if not self._born:
            # A birth is for who listens.
            made.read(self.plan, None)
            self._node.tell("birth", "press1", *self._said(self._metrics))
            self._born = True
        return made

    def _said(self, metrics: dict[str, str]) -> list[tuple[str, str, object]]:
        return [(name, "String", value) for name, value in metrics.items()]

    @override
    def put(self, key: str | None, note: str) -> None:
        self._metrics[str(key)] = note
        if self._born:
            self._node.tell("data", "press1", *self._said({str(key): note}))


class ModbusStand(Stand):
    """Registers, which the preset gives odd names; a number is all that they hold."""

    has_null_keys = has_deletes = has_long_texts = False

    def __init__(self, device: Program) -> None:
        self._device = device
        registers = tuple(Register(key, "holding", at, "u16") for at, key in enumerate(KEYS))
        mapping = " union all ".join(
            f"select '{key.replace(chr(39), chr(39) * 2)}' as key,"
            f" cast({quoted(key)} as varchar) as note, _op from rows"
            f" where {quoted(key)} is distinct from {quoted(f'{key}_before')}"
            for key in KEYS
        )
        self.plan = StreamPlan(ROW, "1.0.0", mapping, ModbusStream(registers, KEYS))

    @override
    def open(self) -> Connector[object]:
        way = ModbusSource("127.0.0.1", (Machine("M", 1),), self._device.port, 1)
        return ModbusConnector(Source(SourceId("plc"), "none", way))

    @override
    def note(self, number: int) -> str:
        return str(number + 1)

    @override
    def put(self, key: str | None, note: str) -> None:
        with closing(ModbusTcpClient("127.0.0.1", port=self._device.port)) as client:
            client.connect()
            address = KEYS.index(str(key))
            assert not client.write_registers(address, [int(note)], device_id=1).isError()

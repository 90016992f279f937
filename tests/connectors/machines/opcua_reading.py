"""Reads an OPC UA server of its own process as an agent does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from connectors.base import Source, StreamPlan
from connectors.kinds.opcua import OpcuaConnector
from connectors.opcua_plan import Machine, OpcuaSource, OpcuaStream, Pace, Server
from kernel.errors import DependencyUnavailableError
from kernel.ids import ContractId, SourceId
from tests.broker import free_port
from tests.connectors.machines.opcua_server import URI
from tests.connectors.machines.processes import Program, python, until

STATE = ContractId("mes.equipment_state.v1")
ENERGY = ContractId("mes.energy_reading.v1")
PRESS = Machine("EQ01", f"nsu={URI};s=Press")
LOAD = Machine("L", f"nsu={URI};s=Load")
QUICK = Pace(sampling_ms=50, publishing_ms=50)
Rows = list[dict[str, object]]


def program(folder: Path, **said: object) -> Program:
    port = int(str(said.setdefault("port", free_port())))
    return Program(python("opcua_server.py", json.dumps(said)), port, folder / "server.log")


@contextmanager
def running(folder: Path, **said: object) -> Iterator[Program]:
    made = program(folder, **said)
    try:
        made.start()
        yield made
    finally:
        made.kill()


def url(server: Program) -> str:
    return f"opc.tcp://127.0.0.1:{server.port}"


def connector(address: str, *machines: Machine, **more: object) -> OpcuaConnector:
    way = OpcuaSource(Server(address, timeout=5), machines or (PRESS,))
    return OpcuaConnector(Source(SourceId("line"), "opcua_machine", replace(way, **more)))


def plan(*variables: str, contract: ContractId = STATE) -> StreamPlan[OpcuaStream]:
    how = OpcuaStream(variables or ("State",), QUICK)
    return StreamPlan(contract, "1.2.0", "select * from rows", how)


class Reader:
    """Reads on as an agent does, and remembers everything."""

    def __init__(self, made: OpcuaConnector, how: StreamPlan[OpcuaStream]) -> None:
        self.made, self.how = made, how
        self.cursor: str | None = None
        self.rows: Rows = []
        self.holes: list[str] = []

    def more(self) -> bool:
        try:
            page = self.made.read(self.how, self.cursor)
        except DependencyUnavailableError:
            return False
        self.cursor = page.cursor
        self.holes += page.holes
        self.rows += page.rows.to_pylist() if page.rows is not None else []
        return True

    def until(self, count: int) -> Rows:
        until(lambda: self.more() and len(self.rows) >= count, f"{count} rows")
        return self.rows

"""An OPC UA server of a factory: its machines tell again what they told on their last days."""

import asyncio
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

from asyncua import Node, Server, ua
from asyncua.common.callback import CallbackType, ServerItemCallback

from county.machines import ENERGY, STATE, Said
from county.servers import programs
from county.servers.programs import LOOPBACK
from county.servers.waiting import first_of

URI = "urn:nplusx:simulated"
# As the sample preset of OPC UA machines has them.
CODES = {"off": 0, "idle": 1, "running": 2, "setup": 3, "fault": 4, "maintenance": 5}
# A server keeps ten values between two messages a second apart: slower than that.
_STEP_SECONDS = 0.2
_Variable = tuple[str, str]


class Line:
    """The server of one factory's machines."""

    def __init__(self, folder: Path, told: Sequence[Said]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = programs.port(folder / "port")
        # What was told is told once, also when this process is killed afterwards.
        self._done = folder / "told"
        self._told: dict[_Variable, list[Said]] = {}
        for each in told:
            self._told.setdefault((each.machine, each.what), []).append(each)
        # What somebody subscribed to.
        self._heard: set[_Variable] = set()
        self._all_heard = asyncio.Event()
        self._nodes: dict[_Variable, Node] = {}

    @property
    def address(self) -> str:
        """Give its address."""
        return f"opc.tcp://{LOOPBACK}:{self.port}"

    def machines(self) -> list[dict[str, str]]:
        """Name the machines as an agent's file does."""
        return [{"code": each, "node": f"nsu={URI};s={each}"} for each in self._machines()]

    def _machines(self) -> list[str]:
        return sorted({machine for machine, _ in self._told})

    async def serve(self, stop: asyncio.Event) -> None:
        """Open the server, wait until somebody listens, tell, and stay."""
        server = Server()
        await server.init()
        server.set_endpoint(self.address)
        server.subscribe_server_callback(CallbackType.ItemSubscriptionCreated, self._hear)
        index = await server.register_namespace(URI)
        at = -1 if self._done.exists() else 0
        for machine in self._machines():
            name = ua.NodeId.from_string(f"ns={index};s={machine}")
            parent = await server.nodes.objects.add_object(name, machine)
            for what in (STATE, ENERGY):
                node = ua.NodeId.from_string(f"ns={index};s={machine}.{what}")
                first, named = self._told[machine, what][at], what.title()
                variable = await parent.add_variable(node, named, _variant(first))
                self._nodes[machine, what] = variable
                await self._tell(server, first)
        async with server:
            await first_of(self._all_heard, stop)
            for number in range(1, max(map(len, self._told.values()))):
                if stop.is_set() or self._done.exists():
                    break
                await asyncio.sleep(_STEP_SECONDS)
                for told in self._told.values():
                    if number < len(told):
                        await self._tell(server, told[number])
            else:
                self._done.touch()
            await stop.wait()

    async def _tell(self, server: Server, said: Said) -> None:
        moment = ua.DateTime.fromtimestamp(said.moment.timestamp(), UTC)
        stamped = ua.DataValue(_variant(said), SourceTimestamp=moment, ServerTimestamp=moment)
        await server.write_attribute_value(self._nodes[said.machine, said.what].nodeid, stamped)

    def _hear(self, event: ServerItemCallback, _dispatcher: object) -> None:
        asked = {each.ItemToMonitor.NodeId for each in event.request_params.ItemsToCreate}
        self._heard |= {name for name, node in self._nodes.items() if node.nodeid in asked}
        if len(self._heard) == len(self._nodes):
            self._all_heard.set()


def _variant(said: Said) -> ua.Variant:
    if said.what == STATE:
        return ua.Variant(CODES[said.value], ua.VariantType.Int32)
    return ua.Variant(float(said.value), ua.VariantType.Double)

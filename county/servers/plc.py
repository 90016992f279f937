"""A Modbus gateway of a factory: a unit for each machine, whose registers stand still."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from county.machines import ENERGY, STATE, Said
from county.servers import programs
from county.servers.opcua import CODES
from county.servers.programs import LOOPBACK

# As the sample preset of Modbus devices reads them: energy in hundredths of a kWh; state.
_ENERGY_AT, _STATE_AT, _ROOM = 0, 10, 20
_WORD = 1 << 16


class Gateway:
    """The gateway of one factory's machines, as they were when they were last heard."""

    def __init__(self, folder: Path, told: Sequence[Said]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = programs.port(folder / "port")
        # The newest of each.
        self._last = {(each.machine, each.what): each.value for each in told}

    def machines(self) -> list[dict[str, object]]:
        """Name the machines as an agent's file does."""
        return [{"code": each, "unit": unit} for unit, each in enumerate(self._codes(), 1)]

    def _codes(self) -> list[str]:
        return sorted({machine for machine, _ in self._last})

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer until told to stop."""
        devices = [self._device(unit, each) for unit, each in enumerate(self._codes(), 1)]
        server = ModbusTcpServer(devices, address=(LOOPBACK, self.port))
        await server.listen()
        await stop.wait()
        await server.shutdown()

    def _device(self, unit: int, machine: str) -> SimDevice:
        words = [0] * _ROOM
        used = round(float(self._last[machine, ENERGY]) * 100)
        words[_ENERGY_AT : _ENERGY_AT + 2] = divmod(used, _WORD)
        words[_STATE_AT] = CODES[self._last[machine, STATE]]
        return SimDevice(unit, [SimData(0, values=words, datatype=DataType.REGISTERS)])

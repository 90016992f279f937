"""A device of pymodbus's simulator in a process of its own: `modbus_device.py PORT`."""

import asyncio
import sys

from pymodbus.constants import ExcCodes
from pymodbus.server import StartAsyncTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

BUSY = 500
ROOM = 130


async def act(_function: int, _start: int, address: int, *_rest: object) -> ExcCodes | None:
    """Be busy at one address, as devices are at times."""
    return ExcCodes.DEVICE_BUSY if address == BUSY else None


def device(unit: int) -> SimDevice:
    """Coils are bits of the same registers, as in most devices."""
    kind = DataType.REGISTERS
    words = [SimData(0, count=ROOM, datatype=kind), SimData(BUSY, count=2, datatype=kind)]
    return SimDevice(id=unit, simdata=words, use_bit_addressing=True, action=act)


if __name__ == "__main__":
    devices = [device(1), device(2)]
    asyncio.run(StartAsyncTcpServer(devices, address=("127.0.0.1", int(sys.argv[1]))))

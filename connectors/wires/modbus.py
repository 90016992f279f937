"""The one door to pymodbus: reads blocks of registers, and says plainly why it cannot."""

from collections.abc import Sequence
from typing import Protocol

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError
from kernel.log import hush

hush("pymodbus")

_REFUSALS: dict[int, tuple[type[NplusxError], str, str]] = {
    1: (ConfigurationError, "has no such table", "correct `table` of the registers in the preset."),
    2: (
        ConfigurationError,
        "has no such registers",
        "compare `address` and `table` with the maker's list; many lists count from 1 or 40001.",
    ),
    3: (
        ConfigurationError,
        "reads fewer registers at once",
        "lower `block_registers` of the source.",
    ),
    4: (DependencyUnavailableError, "has failed by itself", "look at the device."),
    6: (DependencyUnavailableError, "is busy", "raise `poll_seconds`."),
    10: (DependencyUnavailableError, "is behind a gateway without a path to it", "mend the line."),
    11: (
        DependencyUnavailableError,
        "does not answer its gateway",
        "check that it is switched on, and its `unit`.",
    ),
}


class _Ask(Protocol):
    def __call__(self, address: int, *, count: int, device_id: int) -> ModbusPDU: ...


class ModbusLink:
    """A connection to a device or a gateway; opened when needed, closed after any failure."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self._address = f"{host}:{port}"
        self._client = ModbusTcpClient(host, port=port, timeout=timeout, retries=0)
        ask = self._client
        self._tables: dict[str, _Ask] = {
            "coil": ask.read_coils,
            "discrete": ask.read_discrete_inputs,
            "holding": ask.read_holding_registers,
            "input": ask.read_input_registers,
        }

    def read(
        self, table: str, start: int, count: int, unit: int
    ) -> "Sequence[int] | Sequence[bool]":
        """Read neighbouring registers, or bits of a coil or discrete table."""
        where = f"{self._address}, unit {unit}, {table} {start} to {start + count - 1}"
        try:
            if not self._client.connected and not self._client.connect():
                raise DependencyUnavailableError(
                    "The device cannot be reached.",
                    where=self._address,
                    cure="check `host` and `port`, that it is switched on, and the network.",
                )
            answer = self._tables[table](start, count=count, device_id=unit)
        except (ModbusException, OSError) as failed:
            # An answer that comes too late must not be taken for the next one's.
            self._client.close()
            raise DependencyUnavailableError(
                f"The device does not answer: {failed}.",
                where=where,
                cure="check its `unit`, its load, and `timeout_seconds` of the source.",
            ) from failed
        if answer.isError():
            raise _refusal(answer.exception_code, where)
        found = answer.bits if table in ("coil", "discrete") else answer.registers
        if len(found) < count:
            self._client.close()
            raise DependencyUnavailableError(
                f"The device answered {len(found)} of {count} registers.",
                where=where,
                cure="lower `block_registers` of the source.",
            )
        return found[:count]

    def close(self) -> None:
        """Let go of the device."""
        self._client.close()


def _refusal(code: int, where: str) -> NplusxError:
    unknown = (DependencyUnavailableError, "refuses", "look the code up in the maker's manual.")
    kind, what, cure = _REFUSALS.get(code, unknown)
    return kind(f"The device {what} (exception {code}).", where=where, cure=cure)

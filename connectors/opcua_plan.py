"""What files say of an OPC UA server and of its streams."""

from dataclasses import dataclass

import pyarrow as pa

from connectors.certificates import Identity
from connectors.inbox import MOMENT

COLUMNS = pa.schema(
    [
        ("node", pa.string()), ("time", MOMENT), ("value", pa.string()),
        ("machine", pa.string()), ("browse_path", pa.string()), ("number", pa.float64()),
        ("value_type", pa.string()), ("status_code", pa.int64()), ("status", pa.string()),
        ("source_time", MOMENT), ("server_time", MOMENT), ("received_time", MOMENT),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine by the code that the factory gives it, and the node below which it is found."""

    code: str
    node: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a value is looked at, how often values are sent, how many wait in between."""

    sampling_ms: int = 1000
    publishing_ms: int = 1000
    queue_size: int = 10


@dataclass(frozen=True, slots=True)
class OpcuaStream:
    """The variables of a machine, by patterns of the names that lead to them."""

    variables: tuple[str, ...]
    pace: Pace = Pace()


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and who we are to it."""

    url: str
    user: str = ""
    password: str = ""
    identity: Identity | None = None
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class OpcuaSource:
    """A server and its machines."""

    server: Server
    machines: tuple[Machine, ...]
    buffer_rows: int = 200_000

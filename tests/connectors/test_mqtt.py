"""A broker that grants what it refused before is listened to."""

import socket
from contextlib import closing, suppress
from threading import Thread

import pytest

from connectors.base import Source, StreamPlan
from connectors.kinds import sparkplug
from connectors.kinds.sparkplug import SparkplugConnector, SparkplugSource, SparkplugStream
from kernel.errors import ConfigurationError
from kernel.ids import ContractId, SourceId
from tests.connectors.machines.processes import until

STATE = ContractId("mes.equipment_state.v1")


def packet(wire: socket.socket) -> tuple[int, bytes]:
    """Read one MQTT packet; all that is said here is short."""
    kind, size = wire.recv(1)[0], wire.recv(1)[0]
    if size > 127:
        size += 128 * (wire.recv(1)[0] - 1)
    return kind, wire.recv(size, socket.MSG_WAITALL)


@pytest.mark.real_system
def test_who_is_not_let_listen_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparkplug, "_REFUSED_SECONDS", 0.1)
    asked: list[bytes] = []
    plan = StreamPlan(STATE, "1.2.0", "select * from rows", SparkplugStream(("*",)))

    def serve(listener: socket.socket) -> None:
        """Refuse the first wish to listen, grant the second."""
        wire, _ = listener.accept()
        with wire, suppress(IndexError, OSError):
            packet(wire)
            wire.sendall(b"\x20\x02\x00\x00")
            while True:
                kind, body = packet(wire)
                if kind >> 4 == 8:
                    asked.append(body)
                    grants = b"\x01\x80" if len(asked) == 1 else b"\x01\x01"
                    wire.sendall(b"\x90\x04" + body[:2] + grants)
                elif kind >> 4 == 3:
                    topic = int.from_bytes(body[:2], "big")
                    wire.sendall(b"\x40\x02" + body[2 + topic : 4 + topic])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=serve, args=(listener,), daemon=True).start()
        url = f"mqtt://127.0.0.1:{listener.getsockname()[1]}"
        way = SparkplugSource(url, "county", ("+",), timeout_seconds=5)
        with closing(SparkplugConnector(Source(SourceId("gw"), "x", way))) as made:
            with pytest.raises(ConfigurationError, match="does not let this user listen"):
                made.read(plan, None)

            def is_heard() -> bool:
                with suppress(ConfigurationError):
                    made.read(plan, None)
                    return True
                return False

            until(is_heard, "the second wish is granted", 10)
    assert len(asked) == 2

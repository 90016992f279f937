"""An OPC UA server in a process of its own; what it should be is said in JSON as its argument."""

import asyncio
import json
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asyncua import Node, Server, ua
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.history_sql import HistorySQLite
from cryptography.x509.oid import ExtendedKeyUsageOID

URI = "urn:factory:line"
GOOD = ua.Int32(7)
USER, PASSWORD = "reader", "secret-of-the-line"


class Users:
    """Lets one user in."""

    def get_user(self, _server, username=None, password=None, **_certificate) -> User | None:
        if (username, password) == (USER, PASSWORD):
            return User(role=UserRole.User)
        return None


async def certify(server: Server, folder: Path) -> None:
    """Take Basic256Sha256 with encryption and nothing else."""
    key, certificate = folder / "server.key.pem", folder / "server.der"
    uri, host = "urn:factory:server", socket.gethostname()
    names = {"countryName": "CN", "organizationName": "factory"}
    usage = [ExtendedKeyUsageOID.SERVER_AUTH]
    await server.set_application_uri(uri)
    await setup_self_signed_certificate(key, certificate, uri, host, usage, names)
    await server.load_certificate(certificate)
    await server.load_private_key(key)
    server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
    server.set_identity_tokens([ua.UserNameIdentityToken])


async def populate(server: Server, said: dict[str, object]) -> list[Node]:
    """Add a press, and as many counters as are wanted."""
    # Another start, other indexes: only the URI stays.
    for number in range(int(str(said.get("shift", 0)))):
        await server.register_namespace(f"urn:other:{number}")
    index = await server.register_namespace(URI)
    press = await server.nodes.objects.add_object(ua.NodeId("Press", index), "Press")
    inner = await press.add_object(ua.NodeId("Counters", index), "Counters")
    for parent, name, value, kind in (
        (press, "State", 1, ua.VariantType.Int32),
        (inner, "Good", 0, ua.VariantType.Int64),
        (press, "Energy", 100.25, ua.VariantType.Double),
    ):
        # The history's tables are named by nodes, and only plain numbers are plain enough.
        node = ua.NodeId(GOOD if name == "Good" else name, index)
        await (await parent.add_variable(node, name, value, kind)).set_writable()
    odd = await server.nodes.objects.add_object(ua.NodeId("Odd", index), "Odd")
    for name in said.get("names", ()):
        node = ua.NodeId(name, index)
        await (await odd.add_variable(node, name, "", ua.VariantType.String)).set_writable()
    load = await server.nodes.objects.add_object(ua.NodeId("Load", index), "Load")
    return [
        await load.add_variable(ua.NodeId(f"V{n}", index), f"V{n}", 0, ua.VariantType.Int64)
        for n in range(int(str(said.get("count", 0))))
    ]


async def remember(server: Server, missed: int) -> None:
    """Keep a counter's history, and count a little before anybody can listen."""
    index = await server.get_namespace_index(URI)
    good = server.get_node(ua.NodeId(GOOD, index))
    await server.historize_node_data_change([good], count=0)
    for number in range(missed):
        at = datetime.now(UTC) - timedelta(seconds=0.5 - number / 1000)
        value = ua.Variant(1000 + number, ua.VariantType.Int64)
        await good.write_value(ua.DataValue(value, SourceTimestamp=at, ServerTimestamp=at))


async def count_on(server: Server, many: list[Node], hertz: float) -> None:
    """Count, all together, as often as is wanted."""
    loop, tick = asyncio.get_running_loop(), 0
    begun = loop.time()
    while True:
        tick += 1
        for each in many:
            now = datetime.now(UTC)
            value = ua.Variant(tick, ua.VariantType.Int64)
            stamped = ua.DataValue(value, SourceTimestamp=now, ServerTimestamp=now)
            await server.write_attribute_value(each.nodeid, stamped)
        await asyncio.sleep(max(0.0, begun + tick / hertz - loop.time()))


async def main(said: dict[str, object]) -> None:
    secure, history = said.get("secure"), said.get("history")
    server = Server(user_manager=Users() if secure else None)
    if history:
        server.iserver.history_manager.set_storage(HistorySQLite(Path(str(history))))
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{said['port']}")
    if secure:
        await certify(server, Path(str(secure)))
    many = await populate(server, said)
    if history:
        await remember(server, int(str(said.get("missed", 0))))
    async with server:
        await count_on(server, many, float(str(said.get("hertz", 1))))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))

"""The ports of a stack: fixed by settings where somebody depends on them, else any free one."""

import errno
import socket
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

from pydantic import TypeAdapter, ValidationError

from kernel import canonical
from kernel.errors import ConfigurationError
from pipeline.settings import Settings
from pipeline.stack.layout import Layout
from pipeline.stack.processes import holder

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports in use."""

    kafka: int
    controller: int
    airflow: int
    portal: int


_VARIABLES = {
    "kafka": "NPLUSX_KAFKA_PORT",
    "airflow-api": "NPLUSX_AIRFLOW_PORT",
    "portal": "NPLUSX_PORTAL_PORT",
}


def port_of(ports: Ports, program: str) -> int | None:
    """Tell which port a program must own when it is well."""
    if program not in _VARIABLES:
        return None
    return int(getattr(ports, program.removesuffix("-api")))


def recorded(layout: Layout) -> Ports | None:
    """Read the ports that the last start chose."""
    try:
        return TypeAdapter(Ports).validate_json(layout.ports.read_bytes())
    except (OSError, ValidationError):
        return None


def wished(settings: Settings) -> Ports:
    """Give the ports that the settings name."""
    return Ports(
        settings.kafka.port,
        settings.kafka.controller_port,
        settings.airflow.port,
        settings.portal.port,
    )


def choose(settings: Settings, layout: Layout, starting: Collection[str]) -> Ports:
    """Choose ports; those of programs about to start must be free."""
    before, ports = recorded(layout), wished(settings)
    if before:
        ports = replace(ports, controller=before.controller)
    # Nobody outside depends on the controller's port: another will do.
    if "kafka" in starting and _refusal(LOOPBACK, ports.controller):
        ports = replace(ports, controller=_any_free())
    for program in starting:
        if (port := port_of(ports, program)) is not None:
            host = settings.portal.host if program == "portal" else LOOPBACK
            _require_free(host, port, _VARIABLES[program])
    layout.write_private(layout.ports, canonical.dumps(asdict(ports)))
    return ports


def _require_free(host: str, port: int, variable: str) -> None:
    refused = _refusal(host, port)
    if refused is None:
        return
    taken = refused.errno == errno.EADDRINUSE
    what = f"is taken by {holder(port)}" if taken else f"cannot be used: {refused.strerror}"
    raise ConfigurationError(
        f"Port {port} on {host} {what}.",
        where=variable,
        cure=f"set {variable} to a free port, or end that process.",
    )


def _refusal(host: str, port: int) -> OSError | None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as refused:
        return refused
    return None


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])

"""Asks each program of the stack whether it is well."""

import http.client
import socket
import struct
from collections.abc import Mapping
from datetime import datetime

from kernel import canonical
from pipeline.stack import processes
from pipeline.stack.layout import Layout
from pipeline.stack.ports import LOOPBACK, Ports, port_of
from pipeline.stack.supervisor import ProcessState

_SECONDS = 3.0
_OK = 200
_METADATA_V1_OF_NOTHING = struct.pack(">hhih", 3, 1, 1, -1) + struct.pack(">i", 0)
# Airflow's own words for the components in its health report.
_PARTS = {
    "airflow-scheduler": "scheduler",
    "airflow-dag-processor": "dag_processor",
    "airflow-triggerer": "triggerer",
}


def ailment(program: ProcessState, layout: Layout, ports: Ports) -> str:
    """Tell what is missing until a program is well; nothing when it is."""
    if not program.is_running:
        return f"is not running: {program.detail or program.state.lower()}"
    if program.name == "county":
        return _loading(program, layout)
    port = port_of(ports, program.name)
    if port is not None and not processes.owns_port(program.pid, port):
        return f"does not listen on port {port} yet"
    try:
        return _answer(program, ports) or ("" if program.state == "RUNNING" else "is starting")
    except (OSError, http.client.HTTPException, ValueError, struct.error) as silent:
        return f"does not answer yet ({type(silent).__name__})"


def _answer(program: ProcessState, ports: Ports) -> str:
    if program.name == "kafka":
        return "" if _brokers(ports.kafka) else "has no broker in its metadata yet"
    if program.name.startswith("airflow-"):
        return _component(program, ports.airflow)
    if program.name == "portal":
        status, _ = _get(ports.portal, "/health")
        return "" if status == _OK else f"answers {status}"
    return ""


def _brokers(port: int) -> int:
    """Ask for metadata in Kafka's own protocol and count the brokers that are ready."""
    with socket.create_connection((LOOPBACK, port), timeout=_SECONDS) as connection:
        connection.sendall(
            struct.pack(">i", len(_METADATA_V1_OF_NOTHING)) + _METADATA_V1_OF_NOTHING
        )
        with connection.makefile("rb") as answer:
            _size, _correlation, count = struct.unpack(">iii", answer.read(12))
    return int(count)


def _loading(program: ProcessState, layout: Layout) -> str:
    """Tell whether the county's systems hold what they shall since this start."""
    try:
        loaded = layout.county_sources.stat().st_mtime
    except FileNotFoundError:
        return "is still filling its systems"
    return "" if loaded >= program.since else "is still filling its systems"


def _component(program: ProcessState, port: int) -> str:
    status, body = _get(port, "/api/v2/monitor/health")
    report = canonical.loads(body) if status == _OK else None
    if not isinstance(report, dict):
        return f"the API answers {status}"
    part = _PARTS.get(program.name)
    if part is None:
        return ""
    found = report.get(part)
    if not isinstance(found, Mapping) or found.get("status") != "healthy":
        return "has not reported yet"
    # A quick restart still shows the heartbeat of the process before.
    beat = datetime.fromisoformat(str(found.get(f"latest_{part}_heartbeat")))
    return "" if beat.timestamp() >= program.since else "has not reported since its start"


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()

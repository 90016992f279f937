"""The embedded Kafka broker: one KRaft node on loopback, from the jars that setup fetched."""

import base64
import hashlib
import re
import secrets
import shutil
import sys
from pathlib import Path

from kernel.errors import DependencyUnavailableError
from pipeline.settings import ROOT, Settings
from pipeline.stack import processes
from pipeline.stack.layout import Layout, readable_disk_errors
from pipeline.stack.ports import LOOPBACK, Ports
from pipeline.stack.program import Program

POM = ROOT / "deploy" / "kafka" / "pom.xml"
LEAST_JAVA = 17
_STOP_SECONDS = 12
_HEADROOM_BYTES = 1 << 20
_JAVA_VERSION = re.compile(r'version "(?:1\.)?(\d+)')

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
message.max.bytes={message_bytes}
replica.fetch.max.bytes={message_bytes}
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=4
# One node: groups and transactions never come up with more than one replica.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
"""


def jars_folder() -> Path:
    """Name the folder of the jars; it belongs to the environment and to this very list of jars."""
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    return Path(sys.prefix) / "share" / "nplusx" / f"kafka-{digest}"


def java() -> str:
    """Find a Java that Kafka runs on."""
    command = shutil.which("java")
    if command is None:
        raise DependencyUnavailableError(
            "There is no Java.",
            where="the PATH",
            cure="install Java 17 or newer (Debian: `apt-get install openjdk-17-jre-headless`).",
        )
    _code, said = processes.ask(command, "-version")
    found = _JAVA_VERSION.search(said)
    if found is None or int(found[1]) < LEAST_JAVA:
        first = said.splitlines()[0] if said else "it says nothing"
        raise DependencyUnavailableError(
            f"Kafka needs Java {LEAST_JAVA} or newer; this one says: {first}",
            where=command,
            cure=f"put a Java {LEAST_JAVA} or newer first on the PATH.",
        )
    return command


def program(
    settings: Settings, layout: Layout, ports: Ports, environment: dict[str, str]
) -> Program:
    """Describe the broker to the supervisor, and write its configuration."""
    with readable_disk_errors(layout.kafka):
        layout.kafka.mkdir(mode=0o700, exist_ok=True)
    text = _PROPERTIES.format(
        host=LOOPBACK,
        port=ports.kafka,
        controller=ports.controller,
        data=str(layout.kafka / "data").replace("\\", "\\\\"),
        message_bytes=settings.land.record_bytes + _HEADROOM_BYTES,
    )
    layout.write_private(_properties(layout), text.encode())
    heap = f"-Xmx{settings.kafka.heap_mb}m"
    flags = ("-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData")
    return Program(
        "kafka",
        (java(), heap, *flags, *_classpath(), "kafka.Kafka", str(_properties(layout))),
        environment,
        layout.kafka,
        stop_seconds=_STOP_SECONDS,
        content=hashlib.sha256(text.encode()).hexdigest(),
    )


def prepare(layout: Layout) -> None:
    """Format the broker's storage once."""
    formatted = layout.kafka / "formatted"
    if formatted.exists():
        return
    # An interrupted format is worth nothing: no broker ever wrote here.
    shutil.rmtree(layout.kafka / "data", ignore_errors=True)
    cluster = base64.urlsafe_b64encode(b"n" + secrets.token_bytes(15)).decode()
    processes.run_once(
        [
            *(java(), *_classpath(), "kafka.tools.StorageTool", "format"),
            *("-t", cluster.rstrip("="), "-c", str(_properties(layout))),
        ],
        {processes.STACK: str(layout.state)},
        layout.log("kafka-format"),
    )
    layout.write_private(formatted, cluster.encode())


def _classpath() -> list[str]:
    """Name the jars; the folder is complete or absent."""
    if not jars_folder().is_dir():
        raise DependencyUnavailableError(
            "Kafka's jars are not there.", where=str(jars_folder()), cure="run `make setup`."
        )
    return ["-cp", f"{jars_folder()}/*"]


def _properties(layout: Layout) -> Path:
    return layout.kafka / "server.properties"

"""Starts one real Kafka broker from its jars, and stops it."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from pipeline.settings import ROOT
from pipeline.stack.broker import jars_folder

# Below those that a system lends to whoever connects, which is anybody at any time.
_PORTS = range(20_000, 30_000)
_CLUSTER = "nplusx0tests0cluster0A"
_TAKEN: list[socket.socket] = []
# What a broker is told besides, given its ports.
More = Callable[[int, int], Mapping[str, str]]


def free_port() -> int:
    """Find a port that nobody holds, and hold its UDP twin: no other run of tests will take it."""
    for port in _PORTS:
        twin = socket.socket(type=socket.SOCK_DGRAM)
        try:
            twin.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            twin.close()
            continue
        _TAKEN.append(twin)
        return port
    raise RuntimeError(f"no port of {_PORTS} is free")


def owns_port(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Tell whether the port is ours and not another instance's."""
    return any(
        each.status == psutil.CONN_LISTEN and each.laddr.port == port
        for each in psutil.Process(process.pid).net_connections("tcp")
    )


def wait_until_owned(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Wait until the process listens on its port; show its log if it ends or stalls."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if owns_port(process, port):
            return
        time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"port {port} was not opened:\n{log.read_text('utf-8')[-4000:]}")


def run(*command: str, seconds: float = 60) -> str:
    """Run a program to its end; give what it printed."""
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=seconds
    ).stdout


def jars() -> Path:
    """Give the folder of Kafka's jars; Maven fetches them where `make setup` has not."""
    folder = jars_folder()
    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.tests")
        pom, out = f"-f{ROOT / 'deploy/kafka/pom.xml'}", f"-DoutputDirectory={draft}"
        run("mvn", "-q", "-B", "dependency:copy-dependencies", pom, out, seconds=600)
        draft.rename(folder)
    return folder


class Broker:
    """A broker in a folder; it can be stopped and started again on the same port and data."""

    def __init__(self, folder: Path, more: More = lambda _port, _controller: {}) -> None:
        self._folder = folder
        self._classes = f"{jars()}/*"
        self.port, controller = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._config = folder / "server.properties"
        self._log = folder / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        lines = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(folder / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.num.partitions": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "false",
            # 128 MiB in one piece otherwise: half of the heap, and not always to be had.
            "log.cleaner.dedupe.buffer.size": "4194304",
            **more(self.port, controller),
        }
        self._config.write_text("".join(f"{k}={v}\n" for k, v in lines.items()), "utf-8")
        # It ends before a better compiler would pay.
        java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", self._classes]
        run(*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(self._config))

    def start(self) -> None:
        """Start it and wait until it answers."""
        flags = ("-Xmx256m", "-XX:+UseSerialGC")
        command = ["java", *flags, "-cp", self._classes, "kafka.Kafka", str(self._config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until_owned(self._process, self.port, self._log)

    def stop(self) -> None:
        """Stop it at once, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)


@contextmanager
def running_broker(folder: Path, *more: More) -> Iterator[Broker]:
    """Run a broker for as long as the block lasts."""
    broker = Broker(folder, *more)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()

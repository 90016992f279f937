"""A mosquitto broker and edge nodes of Eclipse's own Sparkplug client, each a process."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from threading import Thread

from county.servers import edge_node
from county.servers.programs import node_modules
from tests.broker import free_port, run
from tests.connectors.machines.processes import Program, until


def mosquitto(folder: Path, users: bool = False) -> Program:
    """Make a broker; with users it knows one, whose name and password are `reader`."""
    port = free_port()
    config, known = folder / "mosquitto.conf", folder / "users"
    lines = [f"listener {port} 127.0.0.1", f"allow_anonymous {str(not users).lower()}"]
    if users:
        run("mosquitto_passwd", "-b", "-c", str(known), "reader", "reader")
        lines.append(f"password_file {known}")
    if os.geteuid() == 0:
        lines.append("user root")
    config.write_text("\n".join(lines) + "\n", "utf-8")
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    return Program([program, "-c", str(config)], port, folder / "mosquitto.log")


class EdgeNode:
    """An edge node that does as it is told."""

    def __init__(self, broker: Program) -> None:
        self.said: list[str] = []
        environment = {**os.environ, "NODE_PATH": str(node_modules("sparkplug", edge_node.FOLDER))}
        self.process = subprocess.Popen(
            [
                shutil.which("node") or "node", str(edge_node.FOLDER / "edge.cjs"),
                f"mqtt://127.0.0.1:{broker.port}", "工厂A", "line1",
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment,
        )  # fmt: skip
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()
        until(lambda: "born" in self.said, f"the edge node is born: {self.said}")

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())

    def tell(self, act: str, device: str = "press1", *metrics: tuple[str, str, object]) -> None:
        named = [{"name": name, "type": kind, "value": value} for name, kind, value in metrics]
        assert self.process.stdin is not None
        line = {"act": act, "device": device, "metrics": named}
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it without a word, so that the broker publishes its will."""
        self.process.kill()
        self.process.wait(10)
        self._listener.join(10)
        for each in (self.process.stdin, self.process.stdout):
            if each is not None:
                each.close()

"""A mosquitto broker, over which edge nodes of factories speak Sparkplug."""

import os
from pathlib import Path

from county.servers import programs
from county.servers.programs import LOOPBACK, Child


class Mosquitto:
    """A broker; nobody has to log in."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = programs.port(folder / "port")
        lines = [f"listener {self.port} {LOOPBACK}", "allow_anonymous true"]
        if os.geteuid() == 0:
            lines.append("user root")
        config = folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n", "utf-8")
        argv = (programs.find("mosquitto"), "-c", str(config))
        self._child = Child(argv, self.port, folder / "log")

    @property
    def address(self) -> str:
        """Give its address."""
        return f"mqtt://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start it."""
        self._child.start()

    def stop(self) -> None:
        """Stop it."""
        self._child.stop()

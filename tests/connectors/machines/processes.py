"""Starts what machines stand behind, each in a process of its own on a free port of loopback."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.broker import wait_until_owned

HERE = Path(__file__).parent


class Program:
    """A program that opens a port; killed and started again at will."""

    def __init__(self, command: Sequence[str], port: int, log: Path) -> None:
        self._command, self.port, self._log = list(command), port, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as out:
            self.process = subprocess.Popen(self._command, stdout=out, stderr=out)
        wait_until_owned(self.process, self.port, self._log)

    def kill(self) -> None:
        """End it as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None


def python(script: str, *arguments: str) -> list[str]:
    """Name the command of a script beside this module."""
    return [sys.executable, str(HERE / script), *arguments]


def until(found: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for something to come true; say what never did."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)

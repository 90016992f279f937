"""A Sparkplug edge node of a factory: its machines tell again what they told on their last days."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path

from county.machines import STATE, Said
from county.servers import programs
from kernel import canonical
from kernel.errors import DependencyUnavailableError

FOLDER = Path(__file__).parent / "edge"
_STEP_SECONDS = 0.1


class EdgeNode:
    """The edge node of one factory's machines."""

    def __init__(self, folder: Path, broker: str, number: int, told: Sequence[Said]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.group = f"F{number:03d}"
        self.host = f"nplusx-{self.group}"
        # What was told is told once, also when this process is killed afterwards.
        self._done, self._broker = folder / "told", broker
        self._told = [each for each in told if each.what == STATE]

    async def serve(self, stop: asyncio.Event) -> None:
        """Connect, wait until a host listens, tell, and stay."""
        # The node needs no more of the environment than where its packages are.
        modules = programs.node_modules("sparkplug", FOLDER)
        environment = {"NODE_PATH": str(modules), "PATH": os.defpath}
        process = await asyncio.create_subprocess_exec(
            programs.find("node"), str(FOLDER / "edge.cjs"), self._broker, self.group, "line1",
            self.host,
            stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment,
        )  # fmt: skip
        ending = asyncio.create_task(stop.wait())
        try:
            await self._speak(process, ending)
            await ending
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _speak(self, process: Process, ending: "asyncio.Task[bool]") -> None:
        for wanted in (b"born", b"host"):
            if wanted == b"host":
                self._say_births(process)
            hearing = asyncio.create_task(_hear(process, wanted))
            await asyncio.wait((hearing, ending), return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                hearing.cancel()
                return
            hearing.result()
        if not self._done.exists():
            await self._say_data(process)

    def _say_births(self, process: Process) -> None:
        newest = self._told if self._done.exists() else reversed(self._told)
        for said in {each.machine: each for each in newest}.values():
            _say(process, "birth", said)

    async def _say_data(self, process: Process) -> None:
        """Tell all but what the births said."""
        born = set[str]()
        for said in self._told:
            if said.machine in born:
                _say(process, "data", said)
                await asyncio.sleep(_STEP_SECONDS)
            born.add(said.machine)
        self._done.touch()


def _say(process: Process, act: str, said: Said) -> None:
    line = {
        "act": act,
        "device": said.machine,
        "timestamp": int(said.moment.timestamp() * 1000),
        "metrics": [{"name": "state", "type": "String", "value": said.value}],
    }
    if process.stdin is not None:
        process.stdin.write(canonical.dumps(line) + b"\n")


async def _hear(process: Process, wanted: bytes) -> None:
    """Read until the node says a word."""
    while process.stdout is not None:
        line = await process.stdout.readline()
        if line.strip() == wanted:
            return
        if not line:
            raise DependencyUnavailableError(
                "The Sparkplug edge node has ended.",
                where=str(FOLDER / "edge.cjs"),
                cure="look whether the broker runs; then start the county again.",
            )

"""An agent of a factory's own: its files, and what it costs as a process."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from bench.rows import AGENT, FACTORY, KEY
from kernel import yaml

# What an agent does of itself.
POLL_SECONDS = 30
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Running:
    """An agent as a process."""

    pid: int

    @property
    def cpu_seconds(self) -> float:
        """Tell how long it has kept a core busy."""
        told = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / _TICKS

    def mebibytes(self, name: str) -> int:
        """Tell a figure of its memory."""
        status = Path(f"/proc/{self.pid}/status").read_text("utf-8")
        (line,) = (each for each in status.splitlines() if each.startswith(name))
        return int(line.split()[1]) // 1024


def agent_file(
    folder: Path,
    preset: str,
    sources: Sequence[Mapping[str, object]],
    poll_seconds: int = POLL_SECONDS,
) -> Path:
    """Write an agent's files into a folder; all its sources are read by one preset."""
    for name in ("agent.key", "names.key"):
        (folder / name).write_text(KEY.text, "utf-8")
    (folder / "own.yaml").write_text(preset, "utf-8")
    said = {
        "agent": {
            "id": AGENT, "enterprise": FACTORY, "key_file": "agent.key",
            "pseudonym_key": "names.key", "outbox": "outbox.sqlite",
        },
        "sources": [
            {"id": f"s{at}", "preset": "own.yaml", **each} for at, each in enumerate(sources)
        ],
        "poll_seconds": poll_seconds,
    }  # fmt: skip
    file = folder / "agent.yaml"
    file.write_text(yaml.dump(said), "utf-8")
    return file


def reading(folder: Path, address: str) -> dict[str, object]:
    """Say of a database what an agent's file may say: its password stands in a file."""
    told = sa.make_url(address)
    (folder / "password").write_text(str(told.password), "utf-8")
    shown = told.render_as_string(hide_password=True)
    return {"url": shown.replace(":***@", ":${file:password}@")}

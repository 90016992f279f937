"""The edge install is light and complete: what the lock names and our wheel, really installed."""

import subprocess
from pathlib import Path

import pytest

from connectors.registry import FOLDER
from tests.edge import install, mebibytes

MOST_MIB = 400


@pytest.mark.real_system
def test_an_agent_s_installation_is_light_and_runs(tmp_path: Path) -> None:
    home = install(tmp_path)
    size = mebibytes(home)
    assert size <= MOST_MIB, f"the edge install takes {size} MiB"

    def nplusx(*words: str) -> str:
        state = {"NPLUSX_STATE_DIR": str(tmp_path / "state")}
        command = [home / "bin" / "nplusx", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=state, check=True, capture_output=True, text=True
        ).stdout

    assert "backfill" in nplusx("agent", "--help")
    listed = nplusx("connector", "list")
    assert [each.stem for each in FOLDER.glob("*.yaml") if each.stem not in listed] == []

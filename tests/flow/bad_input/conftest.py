"""State folders that may be spoilt, and a shell to try commands in."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.flow.bad_input.command import Shell
from tests.pipeline.world import World, play


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    yield Shell(monkeypatch, capsys)
    # The command pointed the log to what this test captures.
    structlog.reset_defaults()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path / "state", monkeypatch)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the state folder of a played county, for copies."""
    folder = tmp_path_factory.mktemp("played")
    with pytest.MonkeyPatch.context() as monkeypatch:
        play(World(folder, monkeypatch))
    return folder


@pytest.fixture
def state(played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of a played county's state folder that may be spoilt."""
    copy = shutil.copytree(played, tmp_path / "copy")
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(copy))
    return copy

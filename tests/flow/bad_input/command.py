"""Runs `nplusx` in this process or beside it, and looks at what a person would see."""

import ctypes
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.settings import ROOT

AGENT = """agent:
  id: a1
  enterprise: 91330523719500014U
  key_file: a1.key
  outbox: a1.sqlite
sources:
- id: u8
  preset: yonyou_u8
  url: {url}
"""
_CAPABILITIES = (1, 2)  # to read and to write what permissions forbid
_DROP_FROM_BOUNDING_SET = 24
_LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\dT")


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def paragraphs(self) -> list[str]:
        """Give what stands on standard error, without the log's own lines."""
        return [line for line in self.err.splitlines() if line and not _LOG_LINE.match(line)]

    def failed(self, code: int, *says: str) -> None:
        """Check the exit code and that one paragraph names cause and cure."""
        assert self.code == code, self
        assert len(self.paragraphs) == 1, self.err
        assert "Traceback" not in self.err
        assert "Cure: " in self.err
        for text in says:
            assert text in self.paragraphs[0]


class Shell:
    """Calls the entry point as the console script does, without the cost of a process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> Done:
        self._monkeypatch.setattr(sys, "argv", ["nplusx", *words])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = self._capsys.readouterr()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 1, said.out, said.err)


def beside(*words: str, before: Callable[[], None] | None = None, **variables: str) -> Done:
    """Run a command in a process of its own; `before` runs in it first."""
    ended = subprocess.run(
        [sys.executable, "-B", "-m", "pipeline.cli", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=before,
    )
    return Done(ended.returncode, ended.stdout, ended.stderr)


def as_anybody() -> None:
    """Let permissions bind this process even if it is root's."""
    if os.geteuid() == 0:
        for capability in _CAPABILITIES:
            ctypes.CDLL(None).prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Refuse every write beyond so many bytes of a file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    compiles = sys.dont_write_bytecode
    # Python takes half a written .pyc for a whole one.
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = compiles


def agent_file(folder: Path, url: str) -> Path:
    """Write an agent's file that is right but for its source."""
    path = folder / "a1.yaml"
    path.write_text(AGENT.format(url=url), "utf-8")
    return path

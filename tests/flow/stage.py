"""Runs `nplusx demo` as a user does: a process of its own, its own state folder, its own ports."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from pipeline.settings import Settings, read_settings
from pipeline.stack import processes
from tests.broker import free_port
from tests.code_health.tree import ROOT

PLAYED = "Ctrl-C stops everything."
_PORTS = (
    "KAFKA_PORT", "KAFKA_CONTROLLER_PORT", "AIRFLOW_PORT", "PORTAL_PORT",
)  # fmt: skip


def passable_folder() -> Path:
    """Make a folder that the unprivileged database may enter."""
    base = Path(tempfile.mkdtemp(prefix="nplusx-flow-"))
    base.chmod(0o711)
    return base


@dataclass
class Demo:
    """One demo: started, watched, killed in parts, stopped."""

    base: Path = field(default_factory=passable_folder)
    more: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.variables = {
            "NPLUSX_STATE_DIR": str(self.base / "state"),
            **{f"NPLUSX_{name}": str(free_port()) for name in _PORTS},
            # The story needs no more; the whole county has a test of its own.
            "NPLUSX_DEMO_FACTORIES": "1",
            **self.more,
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("NPLUSX_")}
        self.environment = {**kept, **self.variables}
        self.log = self.base / "demo.log"

    @property
    def state(self) -> Path:
        return self.base / "state"

    def settings(self) -> Settings:
        """Read the settings that this demo runs with."""
        before = dict(os.environ)
        os.environ.update(self.variables)
        try:
            return read_settings()
        finally:
            os.environ.clear()
            os.environ.update(before)

    def start(self, *options: str) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.cli", "demo", *options],
                cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT, text=True,
                start_new_session=True,
            )  # fmt: skip

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def wait_for(self, text: str, seconds: float) -> None:
        """Wait until the demo said something; its end is an error unless it said so."""
        deadline = time.monotonic() + seconds
        while text not in self.said():
            assert self.process is not None
            ended = self.process.poll() is not None
            assert not ended, f"the demo ended with {self.process.returncode}:\n{self.said()}"
            assert time.monotonic() < deadline, f"{text!r} was not said:\n{self.said()}"
            time.sleep(0.5)

    def run(self, *words: str, state: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run another `nplusx` command beside the demo."""
        environment = dict(self.environment)
        if state is not None:
            environment["NPLUSX_STATE_DIR"] = str(state)
        return subprocess.run(
            [sys.executable, "-m", "pipeline.cli", *words],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def stop(self) -> int:
        """End the demo as Ctrl-C does, and give its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=120)

    def leftovers(self) -> list[str]:
        """List the processes that still belong to this demo."""
        return [" ".join(each.cmdline()) for each in processes.marked(self.state)]

    def clear(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self.run("down")
        shutil.rmtree(self.base)

    def airflow(self, path: str) -> dict[str, object]:
        """Ask Airflow's API, logged in as the demo's user."""
        line = next(each for each in self.said().splitlines() if each.startswith("Airflow"))
        url, user, _, password = line.split()[1:5]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        body = json.dumps({"username": user, "password": password}).encode()
        login = urllib.request.Request(
            f"{url}auth/token", data=body, headers={"Content-Type": "application/json"}
        )
        with opener.open(login, timeout=30) as reply:
            token = json.load(reply)["access_token"]
        asked = urllib.request.Request(
            f"{url}api/v2/{path}", headers={"Authorization": f"Bearer {token}"}
        )
        with opener.open(asked, timeout=30) as reply:
            answer: dict[str, object] = json.load(reply)
        return answer

    def asset_events(self) -> list[dict[str, Any]]:
        """Give the newest events; as long as a run that one woke is queued, Airflow answers 500.

        Its answer insists on the time a run started at, which a queued run does not have yet.
        """
        deadline = time.monotonic() + 60
        while True:
            try:
                found = self.airflow("assets/events?limit=100&order_by=-timestamp")["asset_events"]
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.INTERNAL_SERVER_ERROR or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return cast("list[dict[str, Any]]", found)

    def login(self, user: str) -> str:
        """Give the password that the demo printed for a user of the portal."""
        line = next(each for each in self.said().splitlines() if each.startswith(f"  {user} "))
        return line.split()[1]

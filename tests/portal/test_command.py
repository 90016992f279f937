"""`nplusx portal user | serve` as a person runs them."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from kernel import clock
from kernel.errors import ConfigurationError
from pipeline import wiring
from pipeline.commands.portal import register
from pipeline.settings import ROOT, read_settings
from registry.kinds import EnterpriseKind
from registry.people import Enterprise, check_password, find_user, save_enterprise
from tests.rows import FACTORY

COMMAND = (sys.executable, "-m", "pipeline.cli", "portal")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(tmp_path))
    return tmp_path


def user(*arguments: str, says: str = "long enough\n") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, "user", *arguments],
        cwd=ROOT, input=says, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_user_is_registered_and_replaced_with_the_password_of_stdin() -> None:
    registry = wiring.registry(read_settings())
    factory = Enterprise(FACTORY, "某厂", EnterpriseKind.FACTORY, "330523", "C2130")
    save_enterprise(registry, factory)
    for password, role in (("first password", "leader"), ("密码也可以是中文", "factory")):
        owner = ["--enterprise", FACTORY] if role == "factory" else []
        done = user("zhang", "--role", role, *owner, says=f"{password}\n")
        assert done.returncode == 0, done.stderr
        assert password not in done.stdout + done.stderr
        found = find_user(registry, "zhang")
        assert found is not None
        assert check_password(found, password)
        assert found.role == role
    assert found.enterprise_uscc == FACTORY
    assert not check_password(found, "first password")


@pytest.mark.parametrize(
    ("arguments", "says", "told"),
    [
        (["li", "--role", "leader"], "short\n", "characters"),
        (["li", "--role", "leader"], "", "characters"),
        ([" ", "--role", "leader"], "long enough\n", "no user name"),
        (["li", "--role", "factory"], "long enough\n", "belongs to one enterprise"),
        (["li", "--role", "leader", "--enterprise", "x"], "long enough\n", "to none"),
        (["li", "--role", "factory", "--enterprise", "x"], "long enough\n", "not registered"),
        (["li", "--role", "king"], "long enough\n", "king"),
    ],
)
def test_a_wrong_user_is_refused_with_a_cure(arguments: list[str], says: str, told: str) -> None:
    app = typer.Typer()
    register(app)
    done = CliRunner().invoke(app, ["portal", "user", *arguments], input=says)
    if not isinstance(done.exception, ConfigurationError):
        assert done.exit_code == 2
    assert told in f"{done.output} {done.exception}"
    assert find_user(wiring.registry(read_settings()), "li") is None


def test_a_taken_port_names_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("NPLUSX_PORTAL_PORT", str(taken.getsockname()[1]))
        done = subprocess.run(
            [*COMMAND, "serve"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 2
    assert "NPLUSX_PORTAL_PORT" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.browser
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_told_to_stop(monkeypatch: pytest.MonkeyPatch, how: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    monkeypatch.setenv("NPLUSX_PORTAL_PORT", str(port))
    with subprocess.Popen(
        [*COMMAND, "serve"], cwd=ROOT, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as served:
        try:
            assert _answers(port, served) == b'{"status":"ok"}'
        finally:
            served.send_signal(how)
            said = served.communicate(timeout=30)[1]
    assert served.returncode in {0, -how}
    assert not said


def _answers(port: int, served: "subprocess.Popen[str]") -> bytes:
    deadline = clock.monotonic() + 60
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while served.poll() is None and clock.monotonic() < deadline:
        try:
            with opener.open(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                assert "server" not in answer.headers
                return bytes(answer.read())
        except OSError:
            clock.sleep(0.1)
    return b""

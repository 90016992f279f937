"""The locks hold for every Python that is promised, and the edge install is light and enough."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment

from pipeline.settings import ROOT
from tests.edge import index_settings
from tests.pipeline.world import World, play

PYTHONS = ("3.11", "3.12", "3.13")
TOO_HEAVY = ("apache-airflow", "great-expectations", "pandas", "deltalake", "confluent-kafka")
# What a factory's PC does not have; the last is missing on Windows only.
ABSENT = (
    "airflow", "alembic", "asyncua", "confluent_kafka", "deltalake", "fastapi", "google",
    "great_expectations", "httpx", "jinja2", "paho", "pymodbus",
    "pandas", "psutil", "supervisor", "uvicorn", "fcntl",
)  # fmt: skip
BLOCK = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from pipeline.cli import main
sys.argv[0] = "nplusx"
main()
"""
PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)(?: ; ([^\\]+))?", re.MULTILINE)


def pins(text: str, python: str = "") -> dict[str, str]:
    """Read name and version of each package that a version of Python gets."""
    environment = {str(key): str(value) for key, value in default_environment().items()}
    if python:
        environment |= {"python_version": python, "python_full_version": f"{python}.0"}
    return {
        name: version
        for name, version, marker in PIN.findall(text)
        if not (python and marker) or Marker(marker.strip()).evaluate(environment)
    }


@pytest.mark.real_system
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("extra", "lock"), [("dev", "requirements.lock")])
def test_every_python_gets_what_the_lock_says(
    tmp_path: Path, python: str, extra: str, lock: str
) -> None:
    resolved = tmp_path / "resolved.txt"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("uv"), "pip", "compile", "pyproject.toml",
            "--extra", extra, "--python-version", python, "-c", lock, "-o", resolved,
            "--no-header", "--no-annotate", "--no-emit-index-url", "--quiet",
        ],
        cwd=ROOT, env={**index_settings(), **os.environ}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = pins(resolved.read_text("utf-8"))
    assert "nplusx" not in found
    assert len(found) > 20
    assert found == pins((ROOT / lock).read_text("utf-8"), python)


def test_the_edge_lock_is_a_light_part_of_the_whole_lock() -> None:
    whole = pins((ROOT / "requirements.lock").read_text("utf-8"))
    edge = pins((ROOT / "requirements-edge.lock").read_text("utf-8"))
    assert set(TOO_HEAVY) < whole.keys()
    assert not [name for name in edge if name.startswith(TOO_HEAVY)]
    assert {"duckdb", "kafka-python", "pyarrow", "sqlalchemy"} < edge.keys()
    differing = {name for name, version in edge.items() if whole.get(name) != version}
    # Windows' own packages need not be in a lock for a platform.
    assert differing <= {"tzdata", "colorama"}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edge")
    with pytest.MonkeyPatch.context() as monkeypatch:
        play(World(folder, monkeypatch))
    return folder


def edge(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", BLOCK, *words],
        cwd=ROOT, env={"NPLUSX_STATE_DIR": str(folder)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_a_factory_s_pc_verifies_and_looks_after_its_agent(played: Path, tmp_path: Path) -> None:
    pack = shutil.copy(next((played / "packs").iterdir()), tmp_path / "pack.zip")
    for words, says in (
        (("--help",), "agent"),
        (("verify", str(pack)), "granted"),
        (("verify", str(pack), "--drill"), "drill"),
        (("agent", "status"), "agent"),
        (("agent", "key", str(tmp_path / "a1.key")), "public key"),
        (("connector", "list"), "yonyou_u8"),
    ):
        done = edge(tmp_path, *words)
        assert done.returncode == 0, (words, done.stderr)
        assert says in done.stdout


def test_a_factory_s_pc_reads_its_source_and_names_a_silent_broker(tmp_path: Path) -> None:
    edge(tmp_path, "agent", "key", str(tmp_path / "a1.key"))
    (tmp_path / "erp.sqlite").touch()
    agent = tmp_path / "a1.yaml"
    agent.write_text(
        "agent: {id: a1, enterprise: 91330523719500014U, key_file: a1.key, outbox: a1.sqlite}\n"
        f'sources: [{{id: u8, preset: yonyou_u8, url: "sqlite:///{tmp_path}/erp.sqlite"}}]\n',
        "utf-8",
    )
    done = edge(tmp_path, "connector", "check", str(agent))
    assert done.returncode == 1
    assert "has no such table" in done.stdout
    started = subprocess.Popen(
        [sys.executable, "-c", BLOCK, "agent", "run", str(agent)],
        cwd=ROOT, env={"NPLUSX_STATE_DIR": str(tmp_path)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert started.stderr is not None
    with started, started.stderr as told:
        # The first round is over, and it was about the source, not about a missing library.
        assert "has no such table" in told.readline()
        started.terminate()
        assert started.wait(60) == 0


def test_what_needs_the_platform_says_so(tmp_path: Path) -> None:
    done = edge(tmp_path, "refine")
    assert done.returncode == 2
    assert "This command needs deltalake" in done.stderr
    assert "nplusx[platform]" in done.stderr
    assert "Traceback" not in done.stderr

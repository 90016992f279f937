"""The setup script says in one paragraph what is missing, and does nothing when all is there."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.settings import ROOT

COMMANDS = (
    "dirname",
    "cat",
    "sha256sum",
    "cut",
    "sed",
    "head",
    "tr",
    "rm",
    "mkdir",
    "mv",
    "fc-list",
    "cp",
    "basename",
    "uname",
    "tar",
)
POMS = {"kafka": "deploy/kafka/pom.xml", "mysql": "tests/mysql/pom.xml"}
COPIED = ("deploy/setup.sh", *POMS.values(), "requirements.lock", "pyproject.toml")
NODES = {"sparkplug": "county/servers/edge", "cap": "county/servers/cap"}
TAPS = "tests/connectors/machines/taps"
TRYTON = "county/servers/tryton"
LOCK = f"{TRYTON}/requirements.lock"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout with a PATH of its own, seen by an account that may not install."""
    for folder in ("deploy/kafka", "tests/mysql", *NODES.values(), TAPS, TRYTON):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / TAPS / "one.lock").write_text("tap-one==1\n")
    packages = [f"{e}/package{lock}.json" for e in NODES.values() for lock in ("", "-lock")]
    for name in (*COPIED, *packages, LOCK):
        shutil.copy(ROOT / name, tmp_path / name)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in COMMANDS:
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    stub(tmp_path, "id", "echo 1000")
    stub(tmp_path, "sudo", "exit 1")
    stub(tmp_path, "java", "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2")
    stub(tmp_path, "mvn", "exit 0")
    stub(tmp_path, "initdb", "exit 0")
    stub(tmp_path, "postgres", "exit 0")
    for name in ("chromium", "mosquitto", "node", "npm"):
        stub(tmp_path, name, "exit 0")
    stub(tmp_path, "fc-list", "echo 'Noto Sans CJK SC'")
    stub(tmp_path, "odbcinst", "echo '[MariaDB Unicode]'")
    return tmp_path


def stub(checkout: Path, name: str, script: str) -> None:
    path = checkout / "tools" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)


def setup(checkout: Path, python: str = sys.executable) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["/bin/sh", "deploy/setup.sh"],  # the script under test
        cwd=checkout,
        env={"PATH": str(checkout / "tools"), "PYTHON": python, "HOME": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )


def complete(checkout: Path) -> None:
    """Pretend that everything was installed before."""
    bin_folder = checkout / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "nplusx").write_text("#!/bin/sh\n", "utf-8")
    (bin_folder / "nplusx").chmod(0o755)
    stamp = digest(checkout, "requirements.lock", "pyproject.toml")
    (checkout / ".venv" / ".complete").write_text(stamp, "utf-8")
    jars = [f"{name}-{digest(checkout, each)[:12]}" for name, each in POMS.items()]
    modules = [
        f"{name}-{digest(checkout, f'{each}/package-lock.json')[:12]}"
        for name, each in NODES.items()
    ]
    tap = f"tap-one-{digest(checkout, f'{TAPS}/one.lock')[:12]}"
    tryton = f"tryton-{digest(checkout, LOCK)[:12]}"
    for name in (*jars, *modules, tap, tryton):
        (checkout / ".venv" / "share" / "nplusx" / name).mkdir(parents=True)
    (checkout / ".venv" / "share" / "nplusx" / tryton / ".complete").touch()


def digest(checkout: Path, *names: str) -> str:
    return hashlib.sha256(b"".join((checkout / name).read_bytes() for name in names)).hexdigest()


def test_nothing_is_done_when_all_is_there(checkout):
    complete(checkout)
    done = setup(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_old_java_is_named(checkout):
    stub(checkout, "java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    done = setup(checkout)
    assert done.returncode == 4
    assert "Java 17" in done.stderr
    assert "release 11" in done.stderr


def test_java_8_spells_its_version_in_another_way(checkout):
    stub(checkout, "java", "echo 'java version \"1.8.0_401\"' >&2")
    done = setup(checkout)
    assert done.returncode == 4
    assert "release 8" in done.stderr


def test_what_is_missing_is_listed_in_one_line(checkout):
    for name in ("java", "mvn", "chromium", "npm"):
        (checkout / "tools" / name).unlink()
    done = setup(checkout)
    assert done.returncode == 4
    last = done.stderr.strip().splitlines()[-1]
    for package in ("openjdk-17-jre-headless", "maven", "chromium", "npm"):
        assert package in last


def test_a_wrong_python_is_refused(checkout):
    stub(checkout, "oldpython", "[ \"$1\" = -V ] && echo 'Python 3.9.2' || exit 1")
    done = setup(checkout, str(checkout / "tools" / "oldpython"))
    assert done.returncode == 2
    assert "Python 3.9.2" in done.stderr


def test_an_interrupted_installation_is_made_anew(checkout):
    complete(checkout)
    (checkout / ".venv" / ".complete").unlink()
    stub(checkout, "brokenpython", f'[ "$2" = venv ] && exit 9; exec "{sys.executable}" "$@"')
    done = setup(checkout, str(checkout / "tools" / "brokenpython"))
    assert "interrupted" in done.stderr
    assert done.returncode == 4
    assert not (checkout / ".venv" / "bin" / "nplusx").exists()


def test_half_fetched_jars_are_never_taken_for_whole(checkout):
    complete(checkout)
    jars = next((checkout / ".venv" / "share" / "nplusx").glob("kafka-*"))
    jars.rmdir()
    stub(checkout, "mvn", 'for last; do :; done; mkdir -p "${last#*=}"; exit 1')
    done = setup(checkout)
    assert done.returncode == 4
    assert "Maven" in done.stderr
    assert not jars.exists()
    stub(checkout, "mvn", 'for last; do :; done; mkdir -p "${last#*=}"')
    assert setup(checkout).returncode == 0
    assert jars.is_dir()


@pytest.mark.parametrize("script", ["setup.sh", "check.sh", "test.sh", "steps.sh"])
def test_scripts_are_posix_shell(script):
    shell = shutil.which("dash") or "/bin/sh"
    subprocess.run([shell, "-n", ROOT / "deploy" / script], check=True)  # a shell and our script


def test_packages_of_the_edge_node_that_did_not_come_whole_are_not_taken(checkout):
    complete(checkout)
    modules = next((checkout / ".venv" / "share" / "nplusx").glob("sparkplug-*"))
    modules.rmdir()
    stub(checkout, "npm", "exit 1")
    done = setup(checkout)
    assert done.returncode == 4
    assert "npm could not fetch" in done.stderr
    assert not modules.exists()


def test_an_erp_that_did_not_come_whole_is_not_taken(checkout):
    complete(checkout)
    tryton = next((checkout / ".venv" / "share" / "nplusx").glob("tryton-*"))
    (tryton / ".complete").unlink()
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (checkout / ".venv" / "bin" / "uv").write_text("#!/bin/sh\nexit 1\n", "utf-8")
    (checkout / ".venv" / "bin" / "uv").chmod(0o755)
    done = setup(checkout)
    assert done.returncode == 4
    assert "Tryton could not be installed" in done.stderr
    assert not (tryton / ".complete").exists()


def test_a_tap_that_did_not_come_whole_is_not_taken(checkout):
    complete(checkout)
    folder = next((checkout / ".venv" / "share" / "nplusx").glob("tap-one-*"))
    folder.rmdir()
    for name, script in (("python", "exit 0"), ("uv", '[ "$1" = venv ] || exit 1; mkdir -p "$6"')):
        path = checkout / ".venv" / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        path.chmod(0o755)
    done = setup(checkout)
    assert done.returncode == 4
    assert "tap-one could not be installed" in done.stderr
    assert not folder.exists()

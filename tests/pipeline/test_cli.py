"""The command line as a person meets it: help, one-paragraph errors, exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline import cli, commands
from pipeline.settings import ROOT


def nplusx(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_module_of_the_folder_brings_a_command():
    folder = Path(next(iter(commands.__path__)))
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    app = cli.assemble()
    names = {command.callback.__module__ for command in app.registered_commands}
    names |= {group.typer_instance.info.name or "" for group in app.registered_groups}
    assert {"up", "down", "status"} <= {
        command.name or command.callback.__name__ for command in app.registered_commands
    }
    assert "stack" in modules
    assert f"{commands.__name__}.stack" in names


def test_help_loads_no_heavy_library():
    script = "import sys; from pipeline.cli import assemble; assemble(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"airflow", "pyarrow", "duckdb", "deltalake", "great_expectations", "kafka"}
    assert CliRunner().invoke(cli.assemble(), ["--help"]).exit_code == 0


def test_an_error_is_one_paragraph_with_its_exit_code(tmp_path):
    done = nplusx("status", NPLUSX_STATE_DIR=str(tmp_path / "none"))
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    assert "nplusx up" in done.stderr


def test_a_wrong_setting_is_named(tmp_path):
    done = nplusx("status", NPLUSX_STATE_DIR=str(tmp_path), NPLUSX_KAFKA_PORT="many")
    assert done.returncode == 2
    assert "NPLUSX_KAFKA_PORT" in done.stderr


@pytest.mark.parametrize("arguments", [("nothing-such",), ("down", "--nothing-such")])
def test_a_wrong_command_is_a_usage_error(arguments):
    assert nplusx(*arguments).returncode == 2


def test_down_is_fine_where_nothing_ever_was(tmp_path):
    assert nplusx("down", NPLUSX_STATE_DIR=str(tmp_path / "none")).returncode == 0


def test_purge_spares_a_folder_that_is_not_ours(tmp_path):
    done = nplusx("down", "--purge", NPLUSX_STATE_DIR=str(tmp_path))
    assert done.returncode == 2
    assert tmp_path.exists()

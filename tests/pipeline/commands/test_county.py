"""The command line of the simulated county."""

from pathlib import Path

import structlog
from typer.testing import CliRunner, Result

from kernel.errors import ConfigurationError
from pipeline import cli


def generate(out: Path, *words: str) -> Result:
    try:
        return CliRunner().invoke(cli.assemble(), ["county", "generate", "--out", str(out), *words])
    finally:
        # The command pointed the log to what the runner captured.
        structlog.reset_defaults()


def test_a_county_is_written_and_told(tmp_path: Path) -> None:
    out = tmp_path / "county"
    done = generate(out, "--factories", "2", "--months", "2", "--faults", "missing_day")
    assert done.exit_code == 0, done.output
    assert "kingdee_k3cloud_db" in done.output
    assert str(out / "truth") in done.output
    assert (out / "county.json").is_file()


def test_an_unknown_fault_names_those_there_are(tmp_path: Path) -> None:
    out = tmp_path / "county"
    done = generate(out, "--faults", "ruin")
    assert isinstance(done.exception, ConfigurationError)
    assert "bad_uscc" in done.exception.cure
    assert not out.exists()

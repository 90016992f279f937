"""What CI runs is the README's test command, and there a skip is a failure."""

import shutil
import subprocess
from pathlib import Path

from pipeline.settings import ROOT


def test_ci_runs_the_whole_suite_and_lets_nothing_be_skipped(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    make = tmp_path / "make"
    make.write_text('#!/bin/sh\necho "$PWD: make $* with CI=$CI"\n', "utf-8")
    make.chmod(0o755)
    done = subprocess.run(
        [tmp_path / ".ci/run"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path}: make test with CI=true\n"

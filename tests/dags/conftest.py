"""A fresh Airflow home for the session; Airflow is configured before it is first imported."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.settings import ROOT


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("airflow")
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "PYTHONPATH": str(ROOT),
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
    }


@pytest.fixture(scope="session")
def run_python(airflow_environment: dict[str, str]) -> Callable[..., str]:
    """Run a script in a process of its own: Airflow configures itself once per process."""

    def run(script: str, root: Path = ROOT, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**airflow_environment, "PYTHONPATH": str(root), **environment},
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return run

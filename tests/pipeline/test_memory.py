"""An agent holds no more memory than its work needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.settings import ROOT
from tests.pipeline.site import Site

# What other commands, other kinds of sources and other programs need.
_NEEDLESS = {
    "airflow", "asyncua", "confluent_kafka", "deltalake", "great_expectations", "httpx", "numpy",
    "pandas", "paramiko", "pymodbus", "sqlglot", "sqlalchemy.orm", "warehouse", "registry.database",
    "pyarrow.dataset", "pyarrow.parquet",
}  # fmt: skip
_AGENT = """
import sys
from pathlib import Path
from pipeline.cli import assemble
assemble()
from pipeline.memory import spared
with spared("numpy", "pandas"):
    from bus import kafka
    from bus.memory import MemoryBus
    from connectors.config import load_agent
    from tests.pipeline.test_publish import one_round
    print(one_round(load_agent(Path(sys.argv[1])), MemoryBus()).streams[1].rows_read)
print(*sys.modules)
"""


def test_an_agent_loads_nothing_that_it_does_not_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(tmp_path))
    site = Site(tmp_path)
    site.fill(3)
    code = [sys.executable, "-c", _AGENT, str(site.file)]
    read, loaded = subprocess.run(
        code, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert read == "3"
    assert {"pyarrow", "duckdb", "sqlalchemy", "kafka"} <= set(loaded.split())
    assert _NEEDLESS & set(loaded.split()) == set()


def test_a_library_that_is_spared_is_there_again_afterwards() -> None:
    code = "from pipeline.memory import spared\nwith spared('csv'):\n  try:\n    import csv\n"
    code += "  except ModuleNotFoundError as e:\n    print(e.name)\nimport csv; print(csv.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["csv", "csv"]

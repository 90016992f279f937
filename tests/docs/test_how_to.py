"""Who follows docs/connectors/how-to.md to the letter has a connector at the end."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.settings import ROOT

PAGE = (ROOT / "docs/connectors/how-to.md").read_text("utf-8")
PRODUCT, PROTOCOL = PAGE.split("\n## 2.")
# A block's fence, its language, and all that stands in it.
BLOCK = re.compile(r"^(`{3,})(\w+)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^(?:# |<!-- )([\w./-]+\.\w+)(?: -->)?\n")
# The environment, caches and state of a clone are its own.
NOT_CLONED = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", ".state", "artefacts", "bench"
)


def follow(part: str, folder: Path, root: Path) -> list[str]:
    """Do as a part of the page says, block by block; give what the commands said."""
    said = []
    for _, language, text in BLOCK.findall(part):
        if language == "sql":
            with sqlite3.connect(folder / "mes.sqlite") as database:
                database.executescript(text)
            database.close()
        elif language == "sh":
            said += [run(each, folder, root) for each in text.strip().splitlines()]
        else:
            named = NAMED.match(text)
            assert named, text
            (folder / named[1]).write_text(text.removeprefix(named[0]), "utf-8")
    return said


def run(command: str, folder: Path, root: Path) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(root),
        "NPLUSX_STATE_DIR": str(folder / ".state"),
    }
    done = subprocess.run(
        ["/bin/sh", "-euc", command],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.real_system
def test_a_product_takes_one_file(tmp_path: Path) -> None:
    listed, drafted, checked, read, _, _, certified = follow(PRODUCT, tmp_path, ROOT)
    assert "mes.work_order.v1" in listed
    assert "query:" in drafted
    assert "work_order_id" in drafted
    assert "readable" in checked
    assert "2 rows judged, 0 would be refused" in read
    assert certified.count("passed") == 9
    assert "clock skew\tskipped\tThe database is a file" in certified


@pytest.mark.real_system
def test_a_protocol_takes_one_module_one_test_one_page(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT, clone, ignore=NOT_CLONED)
    tested, listed, *_ = follow(PROTOCOL, clone, clone)
    assert " passed" in tested
    assert "press_log" in listed

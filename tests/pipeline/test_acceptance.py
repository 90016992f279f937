"""The acceptance suite finds what is broken, and says which part of it."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernel import yaml
from kernel.errors import ConfigurationError
from pipeline.certify import reasons
from pipeline.settings import ROOT
from tests.pipeline.test_publish import KEY, USCC

HERE = Path(__file__).parent
# Which stream is broken how: behind which row it goes on after a kill, and what it keeps for ever.
BROKEN = {
    "erp.product.v1": ("product_code", -1, 0),
    "mes.equipment.v1": ("equipment_code", 1, 0),
    "mes.work_order.v1": ("work_order_id", 0, 4 << 20),
}
MAPPING = "select n as KEY, moment as updated_at, _op from rows"
REASON = "of no use in this test"


def clone_with(kind: Path, folder: Path) -> Path:
    """Make a tree that is ours but for one more kind."""
    kinds = folder / "connectors" / "kinds"
    kinds.mkdir(parents=True)
    for here, there in (
        (ROOT, folder), (ROOT / "connectors", folder / "connectors"),
        (ROOT / "connectors/kinds", kinds),
    ):  # fmt: skip
        for each in here.iterdir():
            if not each.name.startswith((".", "__pycache__")) and not (there / each.name).exists():
                (there / each.name).symlink_to(each)
    (kinds / "broken.py").write_bytes(kind.read_bytes())
    return folder


@pytest.mark.real_system
def test_doubled_lost_and_leaked_is_seen_where_it_happens(tmp_path: Path) -> None:
    clone = clone_with(HERE / "broken_kind.py", tmp_path / "clone")
    streams = [
        {
            "contract": contract, "version": "1.0.0", "slip": str(slip), "leak": str(leak),
            "mapping": MAPPING.replace("KEY", key),
        }
        for contract, (key, slip, leak) in BROKEN.items()
    ]  # fmt: skip
    preset = {"title": {"zh": "坏", "en": "broken"}, "kind": "broken", "proof": "none"}
    (tmp_path / "broken.yaml").write_text(yaml.dump({**preset, "streams": streams}), "utf-8")
    (tmp_path / "agent.key").write_text(KEY.text)
    agent = {"id": "pc", "enterprise": USCC, "key_file": "agent.key", "outbox": "o.sqlite"}
    sources = [{"id": "s", "preset": "broken.yaml"}]
    (tmp_path / "agent.yaml").write_text(yaml.dump({"agent": agent, "sources": sources}))
    skipped = [f"--skip={part}={REASON}" for part in ("check", "hostile names")]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "connector", "certify", "agent.yaml", "--soak=1",
         *skipped],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(clone)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    told = list(csv.reader(done.stdout.splitlines(), delimiter="\t"))
    seen = {(row[0], row[1]): row[2:] for row in told if len(row) == 5}
    failed = {each: row[1] for each, row in seen.items() if row[0] == "failed"}
    behind = ("resume after kill", "duplicates")
    assert set(failed) == {
        *(("erp.product.v1", part) for part in behind),
        *(("mes.equipment.v1", part) for part in behind),
        ("mes.work_order.v1", "soak"),
    }  # fmt: skip
    # Pages of four of twenty rows, one slip between two of them.
    assert "0 rows are lost, 6 come twice" in failed["erp.product.v1", "duplicates"]
    assert "4 rows are lost, 0 come twice" in failed["mes.equipment.v1", "duplicates"]
    assert "grows by more than" in failed["mes.work_order.v1", "soak"]
    assert seen["mes.work_order.v1", "check"] == ["skipped", REASON, ""]
    assert not (tmp_path / "o.sqlite").exists()


@pytest.mark.parametrize("skip", ["soak", "soak=", "soak=later", "soaking=no time for it today"])
def test_a_part_is_left_out_only_with_a_reason(skip: str) -> None:
    with pytest.raises(ConfigurationError):
        reasons([skip])


def test_a_reason_may_be_chinese() -> None:
    assert reasons(["soak=压机只能读一分钟左右"]) == {"soak": "压机只能读一分钟左右"}

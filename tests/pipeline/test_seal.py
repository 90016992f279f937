"""Seal and verify: the pack recomputes to the same bytes, and every forgery is noticed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from kernel import canonical
from kernel.errors import ChecksFailedError, ConfigurationError, TamperingError
from pipeline import pack, wiring
from pipeline.assess import assess, decisions
from pipeline.doctor import examine
from pipeline.explain import explain
from pipeline.refine import refine
from pipeline.seal import gather, pack_path, seal
from pipeline.settings import read_settings
from pipeline.verify import verify
from tests.code_health.tree import ROOT
from tests.packs import with_column
from tests.pipeline.world import CLAIM, FACTORY, World, row, send_books, send_dossier
from warehouse import ledger


@pytest.fixture
def sealed(played: World) -> Path:
    return pack_path(played.settings, decisions(played.store)[0])


def test_another_process_with_nothing_but_the_pack_agrees(sealed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "verify", str(sealed), "--drill"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "NPLUSX_STATE_DIR": str(tmp_path),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "50000.00" in done.stdout
    assert "drill" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_sealing_again_seals_nothing_and_the_same_facts_give_the_same_bytes(
    sealed: Path, played: World
) -> None:
    assert seal()["sealed"] == []
    decided = decisions(played.store)[0]
    again = pack.write(
        gather(played.settings, played.store, decided),
        {name: decided[name] for name in ("claim_id", "decision_digest")},
        wiring.county_key(played.settings),
    )
    assert again == sealed.read_bytes()


def test_records_of_other_contracts_are_not_read(
    played: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their files may be gone: a pack needs the bodies of its own records only."""
    copy = shutil.copytree(played.settings.state_dir, tmp_path / "copy")
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(copy))
    settings = read_settings()
    store = wiring.store(settings)
    decided = decisions(store)[0]
    whole = gather(settings, store, decided)
    (folder,) = (copy / "lake" / "landing_record").glob("contract=erp.sales_order.v1")
    shutil.rmtree(folder)
    assert gather(settings, store, decided) == whole
    assert list(explain(CLAIM, settings).lines())


def _second_claim(world: World) -> None:
    for contract, changes in (
        ("retrofit.project.v1", {"enterprise_uscc": FACTORY}),
        ("retrofit.acceptance.v1", {}),
        ("retrofit.invoice_line.v1", {"claim_id": "CL-2024-002"}),
    ):
        world.send(contract, row(contract, project_id="PRJ-2", **changes))


def test_a_decision_that_does_not_recompute_is_not_sealed_and_stops_no_other(
    world: World,
) -> None:
    send_books(world)
    send_dossier(world)
    _second_claim(world)
    world.land()
    refine()
    assess()
    table = world.store.open("decision")
    rows = table.dataset().to_table().sort_by("claim_id")
    richer = [rows["decision"][0].as_py().replace(b"50000.00", b"90000.00")]
    forged = with_column(rows, "decision", [*richer, *rows["decision"].to_pylist()[1:]])
    table.replace(forged, {})
    with pytest.raises(ChecksFailedError, match=f"{CLAIM}: The recomputed decision differs"):
        seal()
    (entry,) = ledger.entries(world.store)
    assert entry["claim_id"] == "CL-2024-002"
    (path,) = (world.settings.state_dir / "packs").iterdir()
    assert verify(path).claim_id == "CL-2024-002"


def test_the_ledger_notices_a_changed_entry(played: World) -> None:
    key = wiring.county_key(played.settings).public
    assert ledger.check(played.store, key) == 1
    rows = played.store.open(ledger.TABLE).dataset().to_table()
    place = rows.schema.get_field_index("decision_digest")
    forged = rows.set_column(place, "decision_digest", pa.array(["0" * 64]))
    played.store.open(ledger.TABLE).replace(forged, {})
    with pytest.raises(TamperingError):
        ledger.check(played.store, key)
    played.store.open(ledger.TABLE).replace(rows, {})


def test_explain_walks_from_yuan_to_offsets_and_agents(played: World) -> None:
    lines = list(explain(CLAIM).lines())
    text = "\n".join(lines)
    for wanted in (
        "granted, 50000.00 yuan",
        "a09_nplusx_retrofit",
        "ceiling_cny",
        "landing__erp_payment_v1 row",
        "topic nplusx.erp.payment.v1 partition",
        "signed by agent agent-1 with key",
        "signed by agent county-1 with key",
        "claim clause: allowed 已通过验收",
        "landing__retrofit_project_v1 row",
        "landing__retrofit_acceptance_v1 row",
        "landing__gov_enterprise_v1 row",
        "sealed as ledger entry 1",
    ):
        assert wanted in text, wanted
    with pytest.raises(ConfigurationError):
        explain("CL-none")


def test_the_doctor_finds_every_row_accounted_for(played: World) -> None:
    health = examine(played.settings)
    assert health.ok, health.findings
    assert sum(each.produced for each in health.streams) == sum(
        each.landed for each in health.streams
    )
    assert canonical.dumps(health.as_json())

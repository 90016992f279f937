"""Seal and verify: the pack recomputes to the same bytes, and every forgery is noticed."""

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from contracts.loader import all_contracts, find, parse
from kernel import canonical, clock
from kernel.errors import ChecksFailedError, ConfigurationError, TamperingError
from pipeline import pack, wiring
from pipeline.assess import assess, decisions
from pipeline.doctor import examine
from pipeline.explain import explain
from pipeline.refine import refine
from pipeline.replay import replay, waive
from pipeline.seal import gather, pack_path, seal
from pipeline.settings import read_settings
from pipeline.verify import verify
from tests.code_health.tree import ROOT
from tests.packs import contents, resealed, with_column
from tests.pipeline.world import (
    CLAIM,
    FACTORY,
    INVOICES,
    SELLER,
    World,
    row,
    send_books,
    send_dossier,
)
from warehouse import attempts, ledger

PAYMENT = "erp.payment.v1"


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


def _loosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a new version of the contract no longer ask for a check digit."""
    asked = """        customProperties:
          - property: format
            value: uscc
"""
    text = find(PAYMENT).text.replace("version: 1.0.0", "version: 1.1.0")
    assert asked in text
    newer = parse(text.replace(asked, ""), PAYMENT)
    monkeypatch.setitem(all_contracts(), newer.id, newer)


def _paid(world: World) -> dict[str, object]:
    """Send a claim whose last payment came in one record with a row that nobody may land."""
    send_books(world)
    send_dossier(world)
    good = row(PAYMENT, payment_id="PAY2", invoice_no=INVOICES[2], payee_uscc=SELLER)
    world.send(PAYMENT, good, row(PAYMENT, payment_id="BAD", payee_uscc="91330523719500014X"))
    world.land()
    (held,) = attempts.waiting(world.store, clock.now())
    return held


def _finish(world: World) -> Path:
    world.land()
    for stage in (refine, assess, seal):
        stage()
    return pack_path(world.settings, decisions(world.store)[0])


def test_a_waived_row_is_no_evidence_though_the_contract_would_take_it_by_now(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = _paid(world)
    until = clock.now() + timedelta(days=30)
    waive([str(held["id"])], "engineer", "the supplier closed down", until)
    _loosen(monkeypatch)
    sealed = _finish(world)
    key = wiring.county_key(world.settings)
    found = verify(sealed, key.public)
    assert found.amount_cny == "75000.00"
    (word,) = found.waived
    assert "row 1 of nplusx.erp.payment.v1/" in word
    assert "engineer: the supplier closed down" in word

    def unsaid(files: dict[str, bytes]) -> None:
        files[pack.HELD] = b"[]"

    with pytest.raises(TamperingError, match="landed"):
        verify(resealed(sealed, tmp_path, key, unsaid), key.public)


def test_a_row_that_waits_though_the_contract_takes_it_is_named_and_lands_by_a_replay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _paid(world)
    for stage in (refine, assess):
        stage()
    _loosen(monkeypatch)
    with pytest.raises(ChecksFailedError, match="Row 1 waits in quarantine"):
        seal()
    assert replay(PAYMENT).accepted == 1
    assert verify(_finish(world)).waived == ()


def test_explain_names_the_commit_that_landed_a_row_not_the_one_that_quarantined_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_books(world)
    send_dossier(world)
    bad = "91330523719500014X"
    late = row(PAYMENT, payment_id="PAY2", invoice_no=INVOICES[2], payee_uscc=bad)
    world.send(PAYMENT, late)
    world.land()
    _loosen(monkeypatch)
    world.land()
    (commit,) = (
        each
        for each in world.store.open(find(PAYMENT).table).commits()
        if each.facts.get("replayed")
    )
    sealed = _finish(world)
    lines = [line.strip() for line in explain(CLAIM).lines()]
    assert any(line.endswith(f"landed in commit {commit.version}") for line in lines)
    held = canonical.loads(contents(sealed)[pack.COMMITS])
    table = find(PAYMENT).table
    assert commit.version in [each["version"] for each in held if each["table"] == table]

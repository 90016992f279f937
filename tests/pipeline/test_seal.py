"""Seal and verify: the pack recomputes to the same bytes, and every forgery is noticed."""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernel import canonical
from kernel.errors import ChecksFailedError, ConfigurationError, NplusxError, TamperingError
from kernel.evidence import SigningKey
from pipeline import pack, wiring
from pipeline.assess import decisions
from pipeline.doctor import examine
from pipeline.explain import explain
from pipeline.seal import gather, pack_path, seal
from pipeline.verify import drill, verify
from tests.code_health.tree import ROOT
from tests.pipeline.world import CLAIM, World
from warehouse import ledger


@pytest.fixture
def sealed(played: World) -> Path:
    return pack_path(played.settings, decisions(played.store)[0])


def test_a_pack_verifies_and_says_what_it_holds(sealed: Path, played: World) -> None:
    found = verify(sealed, wiring.county_key(played.settings).public)
    assert (found.claim_id, found.outcome, found.amount_cny) == (CLAIM, "granted", "50000.00")
    assert found.records > 0


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
    row = decisions(played.store)[0]
    again = pack.write(
        gather(played.settings, played.store, row),
        {"claim_id": row["claim_id"], "decision_digest": row["decision_digest"]},
        wiring.county_key(played.settings),
    )
    assert again == sealed.read_bytes()


def test_the_drill_notices_one_flipped_byte(sealed: Path) -> None:
    assert pack.DECISION in drill(sealed)


@pytest.mark.parametrize("place", [0.1, 0.35, 0.6, 0.85])
def test_a_flipped_byte_anywhere_is_noticed(sealed: Path, tmp_path: Path, place: float) -> None:
    data = bytearray(sealed.read_bytes())
    data[int(len(data) * place)] ^= 0xFF
    broken = tmp_path / "broken.zip"
    broken.write_bytes(bytes(data))
    with pytest.raises(NplusxError):
        verify(broken)


def _rewritten(
    sealed: Path, folder: Path, key: SigningKey, change: Callable[[dict[str, bytes]], None]
) -> Path:
    """Seal a changed pack with the right key: what an insider could do."""
    with zipfile.ZipFile(sealed) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name != pack.MANIFEST}
    change(files)
    path = folder / "rewritten.zip"
    path.write_bytes(pack.write(files, {"claim_id": CLAIM}, key))
    return path


def _richer(files: dict[str, bytes]) -> None:
    files[pack.DECISION] = files[pack.DECISION].replace(b"50000.00", b"90000.00")


def _invented_row(files: dict[str, bytes]) -> None:
    name = pack.rows_name("landing__erp_payment_v1")
    rows = pq.read_table(io.BytesIO(files[name]))
    place = rows.schema.get_field_index("paid_amount")
    doubled = pa.array(
        [v * 2 for v in rows["paid_amount"].to_pylist()], rows.schema.field(place).type
    )
    files[name] = pack.parquet(rows.set_column(place, rows.schema.field(place), doubled))


def _lost_record(files: dict[str, bytes]) -> None:
    records = pq.read_table(io.BytesIO(files[pack.RECORDS]))
    files[pack.RECORDS] = pack.parquet(records.slice(1))


def _other_body(files: dict[str, bytes]) -> None:
    records = pq.read_table(io.BytesIO(files[pack.RECORDS]))
    place = records.schema.get_field_index("body")
    bodies = pa.array([body + b" " for body in records["body"].to_pylist()], pa.binary())
    files[pack.RECORDS] = pack.parquet(records.set_column(place, "body", bodies))


def _unsigned(files: dict[str, bytes]) -> None:
    records = pq.read_table(io.BytesIO(files[pack.RECORDS]))
    place = records.schema.get_field_index("key_id")
    blank = pa.array([""] * records.num_rows)
    files[pack.RECORDS] = pack.parquet(records.set_column(place, "key_id", blank))


def _other_code(files: dict[str, bytes]) -> None:
    files[pack.CODE] = files[pack.CODE].replace(
        b'"policy/decision.py":"', b'"policy/decision.py":"0'
    )


def _others_row(files: dict[str, bytes]) -> None:
    """Say that the rows are another factory's: lineage is as good as content."""
    name = pack.rows_name("landing__erp_payment_v1")
    rows = pq.read_table(io.BytesIO(files[name]))
    place = rows.schema.get_field_index("_enterprise")
    others = pa.array(["91330521MA2B3K7P07"] * rows.num_rows)
    files[name] = pack.parquet(rows.set_column(place, "_enterprise", others))


def _looser_contract(files: dict[str, bytes]) -> None:
    name = "contracts/erp.payment.v1.odcs.yaml"
    files[name] = files[name].replace(b"required: true", b"required: false")


def _late_key(files: dict[str, bytes]) -> None:
    files[pack.KEYS] = files[pack.KEYS].replace(b'"2020-01-01', b'"2030-01-01')


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (_richer, ChecksFailedError),
        (_invented_row, TamperingError),
        (_lost_record, TamperingError),
        (_other_body, TamperingError),
        (_unsigned, TamperingError),
        (_others_row, TamperingError),
        (_looser_contract, TamperingError),
        (_late_key, TamperingError),
        (_other_code, ConfigurationError),
    ],
)
def test_an_insiders_forgery_is_noticed_though_the_seal_fits(
    sealed: Path,
    tmp_path: Path,
    played: World,
    change: Callable[[dict[str, bytes]], None],
    error: type[NplusxError],
) -> None:
    key = wiring.county_key(played.settings)
    with pytest.raises(error):
        verify(_rewritten(sealed, tmp_path, key, change), key.public)


def test_a_strangers_seal_is_not_the_countys(sealed: Path, tmp_path: Path, played: World) -> None:
    stranger = SigningKey(b"\x07" * 32)

    def resign(files: dict[str, bytes]) -> None:
        import base64

        files[pack.SEALER] = base64.b64encode(stranger.public.raw)

    with pytest.raises(TamperingError, match="sealed by key"):
        verify(
            _rewritten(sealed, tmp_path, stranger, resign),
            wiring.county_key(played.settings).public,
        )


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

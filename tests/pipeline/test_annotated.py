"""A broken promise of severity warning: the row lands, and bears what is wrong."""

from pathlib import Path

from pipeline import pack, wiring
from pipeline.annotated import annotated
from pipeline.assess import decisions
from pipeline.audit import audit
from pipeline.seal import pack_path
from pipeline.verify import verify
from tests.packs import resealed, table, with_column
from tests.pipeline.world import CLAIM, World, row
from warehouse import quarantine

REPORT = "mes.operation_report.v1"
LATE = {"started_at": "2024-03-05T04:00:00.000001Z"}


def test_a_row_with_a_warning_lands_and_bears_it(world: World) -> None:
    assert annotated(REPORT, world.settings).rows == []
    world.send(
        REPORT,
        row(REPORT, report_id="OR1", operation_no=0),
        row(REPORT, report_id="OR2", **LATE),
        row(REPORT, report_id="OR3"),
        row(REPORT, report_id="OR4", **LATE, good_qty="-1"),
    )
    world.land()
    landed = world.store.open("landing__mes_operation_report_v1")
    warned = {
        each["report_id"]: each["_warnings"] for each in landed.dataset().to_table().to_pylist()
    }
    assert warned == {"OR2": "finished_at.order", "OR3": None}
    assert landed.commits()[-1].facts["warnings"] == {"finished_at.order": 1}
    # A refused row is told all that is wrong with it.
    held = world.store.open(quarantine.QUARANTINE).dataset().to_table().to_pylist()
    assert sorted(each["reasons"] for each in held) == [
        ["finished_at.order", "good_qty.minimum"], ["operation_no.minimum"],
    ]  # fmt: skip
    found = annotated(REPORT, world.settings)
    assert dict(found.counts) == {("finished_at.order", "91330523719500014U"): 1}
    assert found.rows == [(f"nplusx.{REPORT}/0/0/1", "OR2", "finished_at.order")]


def test_the_second_opinion_agrees_on_warnings(world: World) -> None:
    world.send(REPORT, row(REPORT, **LATE), row(REPORT, report_id="OR9", **LATE, good_qty="-1"))
    world.land()
    assert audit()["findings"] == 0


def test_a_warning_is_landings_note_and_not_what_was_signed(played: World, tmp_path: Path) -> None:
    """Landed under a contract that warned of something else, the rows are the same."""
    name = pack.rows_name("landing__erp_payment_v1")

    def noted(files: dict[str, bytes]) -> None:
        rows = table(files, name)
        files[name] = pack.parquet(with_column(rows, "_warnings", ["x.order"] * rows.num_rows))

    key = wiring.county_key(played.settings)
    honest = pack_path(played.settings, decisions(played.store)[0])
    assert verify(resealed(honest, tmp_path, key, noted), key.public).claim_id == CLAIM

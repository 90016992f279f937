"""The doctor where tables cannot be opened: they are findings, and hide nothing of the others."""

from collections.abc import Callable
from pathlib import Path

from pipeline import land as landing
from pipeline.doctor import examine
from tests.pipeline.test_doctor import CONTRACT, TABLE
from tests.pipeline.world import AGENTS, World, play, row
from tests.rows import FACTORY


def spoil(world: World, name: str) -> Callable[[], None]:
    """Write what nobody can read into the first commit of a table; give what mends that."""
    commit = Path(world.settings.lake_uri, name, "_delta_log", f"{0:020}.json")
    commit.parent.mkdir(parents=True, exist_ok=True)
    before = commit.read_bytes() if commit.exists() else b""
    commit.write_bytes(b'{"nothing":')

    def mend() -> None:
        commit.write_bytes(before)

    return mend


def test_a_table_that_cannot_be_opened_is_a_finding_and_hides_nothing_of_the_others(
    world: World,
) -> None:
    play(world)
    (mend, *_) = [spoil(world, name) for name in (TABLE, "unknown__erp.other.v1")]
    world.sent[f"{FACTORY}/{AGENTS[FACTORY]}/books/erp.delivery.v1"] = 9
    world.send("erp.delivery.v1", row("erp.delivery.v1", delivery_id="LATER"))
    landing.land("erp.delivery.v1")
    health = examine(world.settings)
    broken = [each for each in health.unexplained if "could not be opened" in each.what]
    assert [TABLE in each.what for each in broken] == [True, False]
    others = [each.what for each in health.unexplained if each not in broken]
    assert len(others) == 1
    assert "erp.delivery.v1, epoch e1: sequence" in others[0]
    assert CONTRACT not in health.lag
    mend()
    mended = examine(world.settings).unexplained
    assert [each.what for each in mended if each not in broken] == others

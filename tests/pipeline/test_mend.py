"""Mending: each safe cure is done and named, nothing else is touched, and the doctor only looks."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from bus.topics import topic_of
from contracts.loader import all_contracts, find
from kernel import clock
from pipeline import land
from pipeline.doctor import examine
from pipeline.maintain import maintain
from pipeline.mend import mend
from tests.pipeline.world import World, row
from warehouse import attempts
from warehouse.landing import RECORDS

CONTRACT = "erp.payment.v1"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def abandon_a_landing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_folder: object, point: str) -> None:
        if point == "land.before_commit":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.step.crash_here", crash)
        with pytest.raises(KeyboardInterrupt):
            land.land(CONTRACT)


def test_the_doctor_changes_nothing_whatever_it_finds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(CONTRACT, row(CONTRACT))
    abandon_a_landing(world, monkeypatch)
    before = tree(world.settings.state_dir)
    assert not examine(world.settings).ok
    assert tree(world.settings.state_dir) == before


def test_each_safe_cure_is_done_once_and_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(CONTRACT, row(CONTRACT))
    abandon_a_landing(world, monkeypatch)
    for number in range(31):
        world.send(CONTRACT, row(CONTRACT, payment_id=f"P{number}"))
        land.land(CONTRACT)
    later = clock.now() + timedelta(days=2)
    monkeypatch.setattr(clock, "now", lambda: later)
    done = mend(world.settings)
    topics = [topic_of(each) for each in all_contracts() if each != CONTRACT]
    tables = [each.table for each in all_contracts().values() if each.id != CONTRACT]
    assert [each for each in done if "topic" in each] == [f"made the topic {t}" for t in topics]
    assert [each for each in done if "made the table" in each] == [
        f"made the table {t}" for t in tables
    ]
    assert "cleared 1 rows of landings that came to nothing from landing_record" in done
    assert f"wrote a checkpoint of {find(CONTRACT).table}" in done
    records = world.store.open(RECORDS).dataset().to_table(["attempt"])["attempt"].to_pylist()
    assert set(records) == attempts.decided(world.store)
    assert len(records) == 32
    assert mend(world.settings) == []
    assert examine(world.settings).ok


@pytest.mark.parametrize("is_made_anew", [False, True])
def test_what_is_left_of_a_lost_table_is_told_and_never_cleared(
    world: World, monkeypatch: pytest.MonkeyPatch, is_made_anew: bool
) -> None:
    world.send(CONTRACT, row(CONTRACT), row(CONTRACT, payee_uscc="x"))
    world.land()
    shutil.rmtree(Path(world.settings.lake_uri) / find(CONTRACT).table)
    topic = topic_of(CONTRACT)
    for part in (0, 1):
        world.bus.expire(topic, part, len(world.bus.log_of(topic, part)))
    later = clock.now() + timedelta(days=30)
    monkeypatch.setattr(clock, "now", lambda: later)
    if is_made_anew:
        mend(world.settings)
    maintain(world.settings)
    assert world.store.open(RECORDS).dataset().count_rows() == 1
    (lost,) = (each for each in examine(world.settings).unexplained if "is gone" in each.what)
    assert lost.what.startswith(f"{CONTRACT}: what 2 writes")


def test_a_table_that_was_lost_is_made_and_still_missed(world: World) -> None:
    from shutil import rmtree

    world.send(CONTRACT, row(CONTRACT))
    world.land()
    rmtree(world.settings.state_dir / "lake" / RECORDS)
    assert f"made the table {RECORDS}" in mend(world.settings)
    (finding,) = examine(world.settings).findings
    assert "0 rows were produced, 1 landed" in finding

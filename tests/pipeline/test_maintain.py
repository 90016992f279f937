"""Maintain: after it every table says the same and everything goes on; killed and raced as well."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from kernel import canonical
from pipeline import land, replay
from pipeline.assess import assess, decisions
from pipeline.doctor import examine
from pipeline.maintain import keep, maintain, pins
from pipeline.measure import measure
from pipeline.refine import refine
from pipeline.seal import pack_path, seal
from pipeline.settings import ROOT, MaintainSettings, Settings
from pipeline.step import Step
from pipeline.verify import verify
from tests.pipeline.county import CONTRACT, County, payments
from tests.pipeline.world import CLAIM, World, play, row, send_books, send_dossier
from tests.rows import record_of
from warehouse import attempts, quarantine, words
from warehouse.landing import RECORDS
from warehouse.store import ConflictError, TableHandle, TableStore

# The last is within a compaction: fenced, and nothing merged yet.
POINTS = [f"maintain.after_{s}" for s in ("clear", "compact", "sweep", "checkpoint")] + ["fenced"]
# No age protects anything: whatever is removed too early is missed at once.
IMPATIENT = {"retention_hours": 0, "attempt_hours": 0, "file_bytes": 1 << 27}
RUN = f"""
from pipeline.crashpoints import crash_here
from pipeline.maintain import maintain
from pipeline.settings import MaintainSettings, read_settings
from warehouse.delta import DeltaHandle

fence = DeltaHandle._fenced

def fence_and_crash(handle):
    fenced = fence(handle)
    crash_here(read_settings().crash.dir, "fenced")
    return fenced

DeltaHandle._fenced = fence_and_crash
chosen = MaintainSettings.model_construct(**{IMPATIENT!r})
maintain(read_settings().model_copy(update={{"maintain": chosen}}))
"""


def impatient(settings: Settings) -> Settings:
    chosen = MaintainSettings.model_construct(**IMPATIENT)
    return settings.model_copy(update={"maintain": chosen})


def contents(store: TableStore) -> dict[str, list[str]]:
    """Read every table, in an order that no file decides."""
    return {
        name: sorted(map(repr, store.open(name).dataset().to_table().to_pylist()))
        for name in store.names()
    }


def facts(store: TableStore) -> dict[str, list[object]]:
    return {name: [each.facts for each in store.open(name).commits()] for name in store.names()}


def marks(world: World) -> dict[str, object]:
    return {name: at.marks for name, at in land.standings(world.settings, world.bus).items()}


def fail_the_landing_commit(monkeypatch: pytest.MonkeyPatch, county: County) -> None:
    """Leave rows of an attempt that no commit names, as a kill at that place does."""
    with monkeypatch.context() as patched:

        def crash(_folder: object, point: str) -> None:
            if point == "land.before_commit":
                raise KeyboardInterrupt

        patched.setattr("pipeline.step.crash_here", crash)
        with pytest.raises(KeyboardInterrupt):
            county.land()


def attempted(store: TableStore) -> set[str]:
    return {
        attempt
        for name in (RECORDS, quarantine.QUARANTINE)
        for attempt in store.open(name).dataset().to_table()["attempt"].to_pylist()
    }


@pytest.fixture
def county(tmp_path: Path) -> County:
    return County(tmp_path)


def test_a_played_county_is_the_same_and_goes_on(world: World) -> None:
    play(world)
    world.send("erp.payment.v1", row("erp.payment.v1", payment_id="MORE"))
    world.land()
    before, said, stood = contents(world.store), facts(world.store), marks(world)
    done = {each.table: each for each in keep(impatient(world.settings))}
    assert done[RECORDS].before.count > done[RECORDS].after.count
    assert sum(each.swept for each in done.values()) > 0
    assert contents(world.store) == before
    assert facts(world.store) == said
    assert marks(world) == stood
    assert examine(world.settings).findings == ()
    packs = sorted((world.settings.state_dir / "packs").iterdir())
    assert packs
    for pack in packs:
        verify(pack)
    world.send("erp.payment.v1", row("erp.payment.v1", payment_id="LATER"))
    world.land()
    for stage in (refine, measure, assess, seal):
        stage()
    assert examine(world.settings).findings == ()


def test_a_second_run_finds_nothing_to_do(world: World) -> None:
    play(world)
    keep(impatient(world.settings))
    versions = {name: world.store.open(name).version for name in world.store.names()}
    assert maintain(impatient(world.settings)) == {
        "changed": [], "busy": [], "rows_cleared": 0, "files_swept": 0,
    }  # fmt: skip
    assert versions == {name: world.store.open(name).version for name in world.store.names()}


@pytest.mark.parametrize("point", POINTS)
def test_killed_between_two_steps_and_run_again(world: World, point: str, tmp_path: Path) -> None:
    play(world)
    # Two files to merge.
    world.send("erp.payment.v1", row("erp.payment.v1", payment_id="MORE"))
    world.land()
    before, said = contents(world.store), facts(world.store)
    crashes = tmp_path / "crashes"
    crashes.mkdir()
    (crashes / point).touch()
    environment = {
        **os.environ, "NPLUSX_STATE_DIR": str(tmp_path), "NPLUSX_CRASH_DIR": str(crashes),
    }  # fmt: skip
    codes = [
        subprocess.run(
            [sys.executable, "-c", RUN], cwd=ROOT, env=environment, check=False
        ).returncode
        for _ in range(2)
    ]
    assert codes == [-signal.SIGKILL, 0]
    assert contents(world.store) == before
    assert facts(world.store) == said
    assert examine(world.settings).findings == ()


def test_a_decision_that_waits_is_sealed_from_its_own_versions(world: World) -> None:
    send_books(world)
    send_dossier(world)
    world.land()
    for stage in (refine, measure, assess):
        stage()
    world.send("erp.payment.v1", row("erp.payment.v1", payment_id="LATER"))
    world.land()
    refine()
    (decision,) = decisions(world.store)
    pinned = canonical.loads(str(decision["versions"]))
    assert isinstance(pinned, dict)
    assert all(version in pins(world.store)[name] for name, version in pinned.items())
    keep(impatient(world.settings))
    keep(impatient(world.settings))
    assert seal() == {"sealed": [CLAIM], "held": {}}
    verify(pack_path(world.settings, decision))


def test_a_decision_on_tables_computed_long_ago_can_be_sealed(world: World) -> None:
    send_books(world)
    send_dossier(world)
    world.land()
    refine()
    world.send("erp.payment.v1", row("erp.payment.v1", payment_id="LATER"))
    world.land()
    keep(impatient(world.settings))
    keep(impatient(world.settings))
    assess()
    assert seal() == {"sealed": [CLAIM], "held": {}}


def test_rows_of_a_landing_that_came_to_nothing_are_cleared_when_they_are_old(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {**payments(2)[0], "payee_uscc": "91330523719500014X"}
    county.send(record_of(CONTRACT, [*payments(1), bad], sequence=1))
    fail_the_landing_commit(monkeypatch, county)
    county.land()
    landed, verdicts, reasons = county.landed(), county.verdicts(), county.reasons()
    assert len(attempted(county.store)) == 2
    assert maintain(county.settings)["rows_cleared"] == 0
    assert maintain(impatient(county.settings))["rows_cleared"] == 2
    assert attempted(county.store) == attempts.decided(county.store)
    assert (county.landed(), county.verdicts(), county.reasons()) == (landed, verdicts, reasons)
    assert maintain(impatient(county.settings))["rows_cleared"] == 0


def test_a_lander_that_slept_while_its_rows_were_cleared_lands_them_again(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    county.send(record_of(CONTRACT, payments(1), sequence=1))
    county.land()
    county.send(record_of(CONTRACT, payments(2), sequence=2))
    written = Step.write
    slept: list[int] = []

    def sleepy(step: Step, handle: TableHandle, *rest: object) -> None:
        real = handle.append

        class Sleeper:
            def __getattr__(self, name: str) -> object:
                return getattr(handle, name)

            def append(self, *what: object) -> int:
                slept.append(int(str(maintain(impatient(county.settings))["rows_cleared"])))
                return real(*what)

        monkeypatch.undo()
        written(step, Sleeper(), *rest)

    monkeypatch.setattr(Step, "write", sleepy)
    county.land()
    assert slept == [1]
    assert len(county.landed()) == 2
    assert county.verdicts() == ["landed", "landed"]
    assert attempted(county.store) == attempts.decided(county.store)


def test_landing_and_two_runs_at_once(county: County) -> None:
    # Files may not go at once here: others read while this runs.
    chosen = county.settings.maintain.model_copy(update={"attempt_hours": 0})
    settings = county.settings.model_copy(update={"maintain": chosen})
    done = Event()

    def tend() -> None:
        while not done.is_set():
            keep(settings)

    county.send(record_of(CONTRACT, payments(0), sequence=1))
    county.land()
    with ThreadPoolExecutor(2) as pool:
        tending = [pool.submit(tend) for _ in range(2)]
        try:
            for number in range(1, 12):
                county.send(record_of(CONTRACT, payments(number), sequence=number + 1))
                county.land()
        finally:
            done.set()
    assert [each.result() for each in tending] == [None, None]
    assert [each["payment_id"] for each in county.landed()] == [f"PAY{n}" for n in range(12)]
    assert county.verdicts() == ["landed"] * 12


def test_what_waits_in_quarantine_is_replayed_and_told_after_it(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    county.send(
        record_of(CONTRACT, [{**payments(1)[0], "payee_uscc": "91330523719500014X"}], sequence=1)
    )
    county.land()
    (waiting,) = attempts.waiting(county.store, replay.clock.now())
    word = words.Word("somebody", "why", replay.clock.now())
    words.tell(county.store, words.OF_ROWS, [(str(waiting["id"]), quarantine.REJECTED)], word)
    stale = county.store.open(words.OF_ROWS)
    real = county.store.open
    county.store.open(words.OF_ROWS).fence()
    with pytest.raises(ConflictError):
        stale.append(stale.dataset().to_table(), {}, {})
    handles = [stale]
    monkeypatch.setattr(county.store, "open", lambda *of: handles.pop() if handles else real(*of))
    words.tell(county.store, words.OF_ROWS, [(str(waiting["id"]), quarantine.OPEN)], word)
    assert real(words.OF_ROWS).dataset().count_rows() == 2

"""Quarantine's life: replayed rows land once in their own place, whatever happens on the way."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from contracts import loader
from contracts.loader import find
from contracts.model import Contract
from kernel import clock
from kernel.errors import ConfigurationError
from kernel.evidence import SigningKey
from pipeline import replay as stage
from pipeline import wiring
from pipeline.doctor import examine
from pipeline.land import Lander, land
from registry.keys import save_key
from tests.pipeline.world import AGENTS, LONG_AGO, World, row
from tests.rows import FACTORY
from warehouse import attempts

CONTRACT = "erp.payment.v1"
BAD = {"payment_id": "P2", "payee_uscc": "91330523719500014X"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def landed(world: World) -> list[tuple[str, int, int]]:
    rows = world.store.open(find(CONTRACT).table).dataset().to_table().to_pylist()
    return sorted((each["payment_id"], each["_offset"], each["_row"]) for each in rows)


def waiting(world: World) -> list[dict[str, object]]:
    return attempts.waiting(world.store, clock.now())


def relax(monkeypatch: pytest.MonkeyPatch) -> Contract:
    """Let a new version of the contract no longer ask for the check digit."""
    contract = find(CONTRACT)
    kept = [replace(each, format=None) for each in contract.properties]
    newer = replace(contract, version="1.1.0", properties=tuple(kept), digest="newer")
    known = {**loader.all_contracts(), contract.id: newer}
    for module in (loader, stage):
        monkeypatch.setattr(module, "find", lambda name: known[name], raising=True)
    monkeypatch.setattr("pipeline.land.find", lambda name: known[name])
    return newer


def send_two(world: World) -> None:
    world.send(CONTRACT, row(CONTRACT, payment_id="P1"), row(CONTRACT, **BAD))
    world.land()


def test_what_is_still_bad_stays_and_says_when_it_was_judged(world: World) -> None:
    send_two(world)
    assert stage.replay(CONTRACT) == stage.Replayed(0, 1)
    (held,) = waiting(world)
    assert held["state"] == "rejected"
    assert landed(world) == [("P1", 0, 0)]
    assert examine(world.settings).ok


def test_a_row_that_a_new_version_accepts_lands_once_in_its_own_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_two(world)
    relax(monkeypatch)
    land(CONTRACT)
    assert landed(world) == [("P1", 0, 0), ("P2", 0, 1)]
    assert waiting(world) == []
    assert examine(world.settings).ok
    land(CONTRACT)
    assert stage.replay(CONTRACT) == stage.Replayed(0, 0)
    assert len(landed(world)) == 2


def test_a_record_whose_key_is_registered_later_lands_with_its_stream(world: World) -> None:
    unknown = SigningKey(b"\x09" * 32)
    world.keys = {**world.keys, FACTORY: unknown}
    world.send(CONTRACT, row(CONTRACT, payment_id="P1"), row(CONTRACT, **BAD))
    world.land()
    (held,) = waiting(world)
    assert (held["row"], held["reasons"]) == (-1, ["signature.key"])
    assert stage.replay(CONTRACT) == stage.Replayed(0, 1)
    registry = wiring.registry(world.settings)
    save_key(registry, AGENTS[FACTORY], unknown.public, LONG_AGO)
    assert stage.replay(CONTRACT, who="engineer") == stage.Replayed(1, 0)
    assert landed(world) == [("P1", 0, 0)]
    # The bad row of the record waits by itself now.
    assert [(each["row"], each["reasons"]) for each in waiting(world)] == [
        (1, ["payee_uscc.format"])
    ]
    health = examine(world.settings)
    assert health.ok, health.findings
    (stream,) = health.streams
    assert stream.stream.startswith(FACTORY)
    assert (stream.produced, stream.landed, stream.quarantined) == (2, 1, 1)
    # Its number is its own now: the same record again is a repeat.
    world.sent[stream.stream] = 0
    world.send(CONTRACT, row(CONTRACT, payment_id="P1"), row(CONTRACT, **BAD))
    world.land()
    assert len(landed(world)) == 1
    assert examine(world.settings).streams[0].repeats == 2


@pytest.mark.parametrize(
    "point",
    ["land.before_write", "land.between_writes", "land.before_commit", "land.after_commit",
     "replay.after_portion", "replay.after_judging"],
)  # fmt: skip
def test_a_replay_that_is_cut_short_is_finished_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    send_two(world)
    relax(monkeypatch)
    reached: list[str] = []

    def cut(_folder: object, here: str) -> None:
        reached.append(here)
        if here == point:
            raise KeyboardInterrupt

    with monkeypatch.context() as armed:
        armed.setattr("pipeline.step.crash_here", cut)
        armed.setattr("pipeline.replay.crash_here", cut)
        with pytest.raises(KeyboardInterrupt):
            stage.replay(CONTRACT)
    assert reached[-1] == point
    stage.replay(CONTRACT)
    assert landed(world) == [("P1", 0, 0), ("P2", 0, 1)]
    assert waiting(world) == []
    assert examine(world.settings).ok


def test_a_waived_row_is_left_alone_until_its_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_two(world)
    (held,) = waiting(world)
    name = str(held["id"])
    until = clock.now() + timedelta(days=30)
    assert stage.waive([name, name], "engineer", "the supplier closed down", until) == 1
    (held,) = waiting(world)
    assert held["state"] == "waived"
    assert attempts.waiting(world.store, until)[0]["state"] == "open"
    relax(monkeypatch)
    assert stage.replay(CONTRACT) == stage.Replayed(0, 0)
    # Asked for by name it is judged all the same.
    assert stage.replay(CONTRACT, [name]) == stage.Replayed(1, 0)
    with pytest.raises(ConfigurationError, match="waits in quarantine"):
        stage.waive([name], "engineer", "again", until)


def test_a_lander_that_is_under_way_sees_what_a_replay_numbered(
    tmp_path: Path,
) -> None:
    """Numbers that a replay gave away while a lander follows are repeats to it."""
    from threading import Event, Thread

    from pipeline.settings import LandSettings
    from tests.pipeline.county import County, payments
    from tests.pipeline.test_follow import await_rows
    from tests.rows import KEY, record_of

    contract = find(CONTRACT)
    county = County(tmp_path, land=LandSettings(follow_seconds=0.02))
    stop = Event()
    thread = Thread(target=county.lander().follow, args=(stop,))
    late = SigningKey(b"\x07" * 32)
    again = record_of(contract, payments(2), sequence=2, key=late)
    try:
        county.send(record_of(contract, payments(1)))
        thread.start()
        await_rows(county, 1)
        county.send(again)
        while len(county.verdicts()) < 2:
            stop.wait(0.02)
        county.keys[late.public.id] = replace(county.keys[KEY.public.id], key=late.public)
        known = county.lander()._known()
        work = stage._Replay(county.settings, contract, county.store, known)
        assert len(work.judge(attempts.waiting(county.store, clock.now()))) == 1
        county.send(again, record_of(contract, payments(3), sequence=3))
        await_rows(county, 3)
    finally:
        stop.set()
        thread.join(30)
    assert sorted(str(each["payment_id"]) for each in county.landed()) == ["PAY1", "PAY2", "PAY3"]
    assert (
        county.store.open(contract.table).mark(
            next(f"seq/{each['_stream']}/e1" for each in county.landed())
        )
        == 3
    )


def test_replaying_one_row_by_name_says_nothing_of_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_two(world)
    world.send(CONTRACT, row(CONTRACT, **{**BAD, "payment_id": "P3"}))
    world.land()
    first, second = (str(each["id"]) for each in waiting(world))
    until = clock.now() + timedelta(days=1)
    stage.waive([second], "engineer", "later", until)
    newer = relax(monkeypatch)
    assert stage.replay(CONTRACT, [first]) == stage.Replayed(1, 0)
    assert stage.is_due(world.store.open(newer.table), newer)
    assert [each["state"] for each in waiting(world)] == ["waived"]


def lander_of(world: World, contract: Contract) -> Lander:
    known = partial(wiring.known, world.settings)
    return Lander(world.settings, contract, world.bus, world.store, known)


@pytest.mark.parametrize("moment", ["while all is judged", "afterwards"])
def test_what_a_lander_of_an_older_version_refuses_is_judged_by_the_next_replay(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    older = find(CONTRACT)
    send_two(world)
    newer = relax(monkeypatch)
    note = stage._Replay.note_judged

    def refuse() -> None:
        world.send(CONTRACT, row(CONTRACT, **{**BAD, "payment_id": "P3"}))
        lander_of(world, older).drain()

    def noted(self: stage._Replay, *of: object) -> None:
        refuse()
        note(self, *of)

    with monkeypatch.context() as meanwhile:
        if moment == "while all is judged":
            meanwhile.setattr(stage._Replay, "note_judged", noted)
        land(CONTRACT)
    if moment == "afterwards":
        refuse()
    assert [each["business_key"] for each in waiting(world)] == ['{"payment_id":"P3"}']
    land(CONTRACT)
    assert [name for name, _, _ in landed(world)] == ["P1", "P2", "P3"]
    # What this version refuses itself asks for no other judgement, nor does the older one's.
    world.send(CONTRACT, row(CONTRACT, payment_id="P4", currency="?"))
    land(CONTRACT)
    table = world.store.open(newer.table)
    assert len(waiting(world)) == 1
    assert not stage.is_due(table, newer)

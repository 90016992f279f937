"""A topic without a contract: its records are kept, and land once when the contract is there."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from bus.ports import Reader, Received, Record
from bus.topics import topic_of
from contracts import loader
from contracts.loader import find
from pipeline import land as landing
from pipeline.doctor import examine
from pipeline.keep import kept
from pipeline.maintain import maintain
from tests.pipeline.world import World, row
from tests.rows import valid_row
from warehouse import attempts
from warehouse.landing import RECORD_SCHEMA, RECORDS

CONTRACT = find("erp.payment.v1")
TOPIC = topic_of(CONTRACT.id)
Switch = Callable[[], None]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    """Take the contract's file away for a while; the call puts it there."""
    found = loader.files_in

    def without(folder: Path, pattern: str) -> list[Path]:
        return [each for each in found(folder, pattern) if "payment.v1" not in each.name]

    def put_back() -> None:
        monkeypatch.setattr(loader, "files_in", found)
        loader._known.clear()

    monkeypatch.setattr(loader, "files_in", without)
    loader._known.clear()
    yield put_back
    put_back()


def send(world: World, *numbers: int) -> None:
    """Send payments, each in a record of its own, as an agent that knows the contract does."""
    for number in numbers:
        put(world, row_of(number))


def row_of(number: int) -> dict[str, object]:
    return valid_row(CONTRACT, payment_id=f"P{number}")


def put(world: World, *rows: dict[str, object]) -> None:
    from tests.pipeline import world as played

    known = played.find
    played.find = lambda _: CONTRACT
    try:
        world.send(CONTRACT.id, *rows)
    finally:
        played.find = known


def unknown(world: World) -> list[tuple[str, int]]:
    rows = world.store.open("unknown__erp.payment.v1").dataset().to_table().to_pylist()
    assert {each["verdict"] for each in rows} <= {"contract.unknown"}
    return sorted((each["topic"], each["offset"]) for each in rows)


def landed(world: World) -> list[tuple[str, int]]:
    rows = world.store.open(CONTRACT.table).dataset().to_table().to_pylist()
    return sorted((each["payment_id"], each["_offset"]) for each in rows)


def holes(world: World) -> list[object]:
    commits = world.store.open(CONTRACT.table).commits()
    return [hole for each in commits for hole in each.facts.get("holes", ())]


def test_records_of_an_unknown_topic_are_kept_as_they_came_and_once(
    world: World, register: Switch
) -> None:
    send(world, 1, 2)
    assert landing.behind(world.settings) == [CONTRACT.id]
    facts = landing.land(CONTRACT.id)
    assert (facts["contract_id"], facts["rows_in"]) == (CONTRACT.id, 0)
    world.land()
    assert unknown(world) == [(TOPIC, 0), (TOPIC, 1)]
    (first, _) = world.store.open("unknown__erp.payment.v1").dataset().to_table().to_pylist()
    (sent, *_) = log(world)
    assert (first["body"], first["key"], first["broker_at"]) == (
        sent.value, sent.key, sent.broker_at,
    )  # fmt: skip
    assert [(each["name"], each["value"]) for each in first["headers"]] == list(sent.headers)
    assert landing.behind(world.settings) == []


@pytest.mark.parametrize("again", [(), (3,), (3, 4, 5)])
def test_a_topic_made_anew_while_it_is_opened_is_kept_as_a_new_one(
    world: World, register: Switch, monkeypatch: pytest.MonkeyPatch, again: tuple[int, ...]
) -> None:
    send(world, 1)
    world.land()
    send(world, 2)
    reader, waits = world.bus.reader, [True]

    def made_anew(topic: str, positions: Mapping[int, int]) -> Reader:
        if waits and waits.pop():
            world.bus.drop_topic(TOPIC)
            world.bus.ensure_topics([TOPIC])
            send(world, *again)
        return reader(topic, positions)

    monkeypatch.setattr(world.bus, "reader", made_anew)
    world.land()
    assert unknown(world) == [(TOPIC, 0), *((f"{TOPIC}~2", at) for at in range(len(again)))]


def log(world: World) -> list[Received]:
    return [each for part in (0, 1) for each in world.bus.log_of(TOPIC, part)]


def test_a_topic_that_is_not_there_is_still_a_misspelt_contract(world: World) -> None:
    from kernel.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="no contract"):
        landing.land("erp.paymnt.v1")


def test_the_doctor_tells_of_kept_records_and_is_content(world: World, register: Switch) -> None:
    send(world, 1, 2, 3)
    world.land()
    health = examine(world.settings)
    assert health.ok, health.findings
    (notice,) = health.notices
    assert notice.startswith(f"{TOPIC}: 3 records are kept")
    assert health.lag[CONTRACT.id] == 0
    register()
    assert "not landed yet" in examine(world.settings).notices[0]
    world.land()
    assert examine(world.settings).notices == ()


def test_the_kept_records_land_before_the_new_ones_in_order_and_once(
    world: World, register: Switch
) -> None:
    send(world, 1, 2)
    world.land()
    # Whatever the bus still holds of them, they are kept.
    world.bus.expire(TOPIC, log(world)[0].partition, 2)
    put(world, row_of(3), valid_row(CONTRACT, payment_id="P4", payee_uscc="x" * 18))
    register()
    assert landing.behind(world.settings) == [CONTRACT.id]
    world.land()
    assert landed(world) == [("P1", 0), ("P2", 1), ("P3", 2)]
    assert holes(world) == []
    health = examine(world.settings)
    assert health.ok, health.findings
    (stream,) = health.streams
    assert (stream.produced, stream.landed, stream.quarantined) == (4, 3, 1)
    world.land()
    assert len(landed(world)) == 3
    assert landing.behind(world.settings) == []


def test_kept_records_land_although_their_topic_is_gone_and_was_made_anew(
    world: World, register: Switch
) -> None:
    send(world, 1)
    world.land()
    world.bus.drop_topic(TOPIC)
    send(world, 2, 3)
    world.land()
    assert unknown(world) == [(TOPIC, 0), (f"{TOPIC}~2", 0), (f"{TOPIC}~2", 1)]
    world.bus.drop_topic(TOPIC)
    register()
    world.land()
    assert landed(world) == [("P1", 0), ("P2", 0), ("P3", 1)]
    send(world, 4)
    world.land()
    assert landed(world)[3:] == [("P4", 0)]
    topics = world.store.open(CONTRACT.table).dataset().to_table()["_topic"].to_pylist()
    assert sorted(topics) == [TOPIC, f"{TOPIC}~2", f"{TOPIC}~2", f"{TOPIC}~3"]


def test_what_a_lander_of_the_old_contracts_keeps_meanwhile_lands_once(
    world: World, register: Switch
) -> None:
    send(world, 1)
    world.land()
    send(world, 2)
    # One that was started before the contract was registered goes on keeping.
    from pipeline.keep import Keeper

    old = Keeper(world.settings, world.bus, world.store, TOPIC)
    register()
    landing.land(CONTRACT.id)
    send(world, 3)
    old.drain(Event())
    assert len(unknown(world)) == 3
    landing.land(CONTRACT.id)
    assert landed(world) == [("P1", 0), ("P2", 1), ("P3", 2)]
    assert list(kept(world.store, CONTRACT)) == []
    assert examine(world.settings).ok


@pytest.mark.parametrize("point", ["land.before_write", "land.before_commit", "land.after_commit"])
@pytest.mark.parametrize("where", ["pipeline.keep", "pipeline.step"])
def test_a_kill_while_keeping_or_while_landing_what_was_kept_repeats_nothing(
    world: World,
    register: Switch,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    where: str,
) -> None:
    monkeypatch.setenv("NPLUSX_LAND_COMMIT_ROWS", "1")

    def cut(_folder: object, here: str) -> None:
        if here == point:
            raise KeyboardInterrupt

    def killed() -> None:
        with monkeypatch.context() as armed:
            armed.setattr(f"{where}.crash_here", cut)
            with suppress(KeyboardInterrupt):
                world.land()

    send(world, 1, 2, 3)
    for _ in range(2):
        killed()
    world.land()
    assert len(unknown(world)) == 3
    send(world, 4)
    register()
    for _ in range(2):
        killed()
    world.land()
    assert landed(world) == [("P1", 0), ("P2", 1), ("P3", 2), ("P4", 3)]
    assert attempts.visible(world.store, RECORDS, RECORD_SCHEMA).num_rows == 4
    assert examine(world.settings).ok


def test_two_that_keep_at_once_keep_once(world: World, register: Switch) -> None:
    from pipeline.keep import Keeper

    send(world, 1, 2)
    one, other = (Keeper(world.settings, world.bus, world.store, TOPIC) for _ in range(2))
    written = one._write

    def late(*of: object) -> None:
        other.drain(Event())
        written(*of)

    one._write = late
    one.drain(Event())
    assert len(unknown(world)) == 2


def test_what_expired_before_it_was_kept_is_told_and_steps_are_bounded(
    world: World, register: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPLUSX_LAND_COMMIT_ROWS", "2")
    send(world, 1, 2, 3, 4, 5, 6)
    world.bus.expire(TOPIC, log(world)[0].partition, 1)
    landing.land(CONTRACT.id)
    commits = world.store.open("unknown__erp.payment.v1").commits()
    sizes = [each.facts["records"] for each in commits if "records" in each.facts]
    assert sizes == [2, 2, 1]
    assert examine(world.settings).findings == (
        (
            f"{CONTRACT.id}: {TOPIC} partition {log(world)[0].partition}: offsets 0 to 0 were gone "
            "before they were landed."
        ),
    )
    register()
    world.land()
    assert [name for name, _ in landed(world)] == ["P2", "P3", "P4", "P5", "P6"]


def test_kept_tombstones_and_records_of_nobody_are_judged_like_any(
    world: World, register: Switch
) -> None:
    world.bus.ensure_topics([TOPIC])
    world.bus.sender().send(
        [Record(TOPIC, b"k", None, ()), Record(TOPIC, b"k", b"{}", (("odd", b"\xff"),))]
    )
    world.land()
    register()
    world.land()
    found = attempts.visible(world.store, RECORDS, RECORD_SCHEMA).sort_by("offset")
    assert found["verdict"].to_pylist() == ["tombstone", "refused"]


def test_kept_records_are_kept_small_by_maintenance(
    world: World, register: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 4):
        send(world, number)
        world.land()
    handle = world.store.open("unknown__erp.payment.v1")
    assert handle.files().count == 3
    maintain(world.settings)
    assert world.store.open("unknown__erp.payment.v1").files().count == 1
    register()
    world.land()
    assert len(landed(world)) == 3


def test_a_name_that_no_contract_can_bear_is_kept_too(world: World) -> None:
    strange = Record("nplusx.Some-Thing", b"k", b"x", ())
    world.bus.ensure_topics([strange.topic])
    world.bus.sender().send([strange, replace(strange, value=b"y")])
    world.land()
    assert world.store.open("unknown__Some-Thing").dataset().count_rows() == 2
    assert row("erp.payment.v1")

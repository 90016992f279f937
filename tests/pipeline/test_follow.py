"""Following: what comes lands within moments, and a stop finishes what was begun."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from contracts import loader
from contracts.loader import find
from contracts.model import Contract
from pipeline.follow import follow
from pipeline.land import Lander
from pipeline.settings import LandSettings
from tests.pipeline.county import County, payments
from tests.pipeline.world import World, row
from tests.rows import record_of

CONTRACT = find("erp.payment.v1")
OTHERS = find("erp.delivery.v1")


def test_what_comes_is_landed_as_it_comes_until_told_to_stop(tmp_path: Path) -> None:
    county = County(tmp_path, land=LandSettings(follow_seconds=0.02))
    county.send(record_of(CONTRACT, payments(1)))
    lander, stop = county.lander(), Event()
    counts: list[int] = []
    lander.on_commit = lambda told: counts.append(told["landed"])
    thread = Thread(target=lander.follow, args=(stop,))
    thread.start()
    try:
        for number in range(2, 6):
            await_rows(county, number - 1)
            county.send(record_of(CONTRACT, payments(number), sequence=number))
        await_rows(county, 5)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert sum(counts) == 5
    assert county.verdicts() == ["landed"] * 5
    # A stop is no end: another lander goes on where this one stood.
    county.send(record_of(CONTRACT, payments(6), sequence=6))
    assert county.land().counts["landed"] == 1


def await_rows(county: County, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(county.landed()) < count:
        assert time.monotonic() < deadline, f"only {len(county.landed())} rows landed"
        time.sleep(0.02)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("NPLUSX_LAND_FOLLOW_SECONDS", "0.02")
    monkeypatch.setattr("pipeline.follow._PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("pipeline.follow.LOOK_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr("pipeline.land.LOOK_AGAIN_SECONDS", 0.5)
    yield World(tmp_path, monkeypatch)
    loader._known.clear()


@contextmanager
def following(*contracts: str) -> Iterator[Thread]:
    stop = Event()
    thread = Thread(target=follow, args=(contracts, stop, lambda _counts: None))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def count(world: World, contract: Contract) -> int:
    if not world.store.exists(contract.table):
        return 0
    return int(world.store.open(contract.table).dataset().count_rows())


def test_what_nobody_foresaw_in_one_contract_is_told_and_stops_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    real, failures = Lander.follow, [ZeroDivisionError("of nobody"), KeyError("again")]

    def odd(self: Lander, stop: Event) -> None:
        if self._contract.id == CONTRACT.id and failures:
            raise failures.pop()
        real(self, stop)

    monkeypatch.setattr(Lander, "follow", odd)
    with following(CONTRACT.id, OTHERS.id) as thread:
        for each in (CONTRACT, OTHERS):
            world.send(each.id, row(each.id))
        until(lambda: count(world, OTHERS) == count(world, CONTRACT) == 1)
        assert thread.is_alive()
    told = "".join(capfd.readouterr())
    assert "ZeroDivisionError('of nobody')" in told
    assert "again_in_seconds=0.1" in told


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hide files by parts of their names, as long as these are listed."""
    hidden: list[str] = []
    found = loader.files_in

    def others(folder: Path, pattern: str) -> list[Path]:
        return [p for p in found(folder, pattern) if not any(each in p.name for each in hidden)]

    monkeypatch.setattr(loader, "files_in", others)
    return hidden


def test_a_contract_that_is_added_meanwhile_is_landed(world: World, files: list[str]) -> None:
    files.append("payment.v1")
    loader._known.clear()
    assert CONTRACT.id not in loader.all_contracts()
    with following():
        files.clear()
        world.bus.ensure_topics([f"nplusx.{CONTRACT.id}"])
        until(lambda: CONTRACT.id in loader.all_contracts())
        world.send(CONTRACT.id, row(CONTRACT.id))
        until(lambda: count(world, CONTRACT) == 1)


def test_a_contract_that_is_changed_meanwhile_judges_by_its_new_words(
    world: World, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loader.parse

    def relaxed(text: str, where: str) -> Contract:
        contract = real(text, where)
        kept = tuple(replace(each, format=None) for each in contract.properties)
        return replace(contract, properties=kept, version="1.1.0", digest=contract.digest[::-1])

    def broken(text: str, where: str) -> Contract:
        return real("", where)

    with following(CONTRACT.id, OTHERS.id):
        world.send(CONTRACT.id, row(CONTRACT.id, payee_uscc="91330523719500014X"))
        world.send(OTHERS.id, row(OTHERS.id))
        until(lambda: count(world, OTHERS) == 1)
        monkeypatch.setattr(loader, "parse", broken)
        files.append("award")
        world.send(OTHERS.id, row(OTHERS.id, delivery_line_id="D2"))
        until(lambda: count(world, OTHERS) == 2)
        assert count(world, CONTRACT) == 0
        monkeypatch.setattr(loader, "parse", relaxed)
        # Files as nobody has seen them yet, however late they were looked at before.
        files[:] = ["energy_reading"]
        until(lambda: count(world, CONTRACT) == 1)

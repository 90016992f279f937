"""The lag trigger fires when ends moved, not twice, reminds, and outlives its broker."""

import asyncio
import sys
from types import ModuleType

import pytest

from pipeline.standing import Standing

pytestmark = pytest.mark.airflow
Lag = dict[str, Standing]


class Bus:
    """Answers each look with the next of a list, the last one for ever; counts looks."""

    def __init__(self, *answers: Lag | Exception) -> None:
        self.answers, self.looks = list(answers), 0
        self.enough, self.wanted = asyncio.Event(), 0
        self.loop: asyncio.AbstractEventLoop | None = None

    def lag(self) -> Lag:
        self.looks += 1
        if self.looks > self.wanted and self.loop:
            self.loop.call_soon_threadsafe(self.enough.set)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def at(end: int, mark: int, name: str = "erp.payment.v1") -> Lag:
    return {name: Standing(f"nplusx.{name}", {0: end}, {0: mark}, (), {}, is_first=False)}


@pytest.fixture
def events(monkeypatch):
    """Give what the trigger fires until the bus was looked at so many times."""
    monkeypatch.setenv("NPLUSX_LAND_POLL_SECONDS", "0.01")
    from dags.triggers import lag as module

    def collect(bus: Bus, looks: int, nudge: float = 3600) -> list[list[str]]:
        fake = ModuleType("pipeline.land")
        fake.lag = bus.lag
        monkeypatch.setitem(sys.modules, "pipeline.land", fake)
        monkeypatch.setenv("NPLUSX_LAND_NUDGE_SECONDS", str(nudge))

        async def listen() -> list[list[str]]:
            fired: list[list[str]] = []

            async def follow() -> None:
                async for event in module.LagTrigger().run():
                    fired.append(event.payload["contracts"])  # noqa: PERF401  # it never ends

            bus.loop, bus.wanted = asyncio.get_running_loop(), looks
            task = asyncio.create_task(follow())
            ended = asyncio.create_task(bus.enough.wait())
            await asyncio.wait({task, ended}, timeout=30, return_when="FIRST_COMPLETED")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert ended.done(), "the trigger stopped looking"
            return fired

        return asyncio.run(listen())

    return collect


def test_it_is_silent_while_the_tables_stand_at_the_end(events):
    assert events(Bus({}, at(5, 5)), looks=5) == []


def test_it_fires_once_for_a_lag_that_stays(events):
    assert events(Bus(at(5, 3)), looks=6) == [["erp.payment.v1"]]


def test_it_fires_again_when_the_end_moved(events):
    assert len(events(Bus(at(5, 3), at(5, 3), at(6, 3)), looks=6)) == 2


def test_one_contract_catching_up_is_no_news(events):
    two = {**at(5, 3), **at(9, 2, "erp.delivery.v1")}
    fired = events(Bus(two, two, {**at(5, 5), **at(9, 2, "erp.delivery.v1")}), looks=6)
    assert fired == [["erp.delivery.v1", "erp.payment.v1"]]


def test_it_reminds_of_a_lag_that_nobody_took(events):
    assert len(events(Bus(at(5, 3)), looks=8, nudge=0.02)) >= 2


def test_a_silent_broker_does_not_end_it(events, capsys):
    fired = events(Bus(OSError("broker gone"), at(5, 3)), looks=4)
    assert fired == [["erp.payment.v1"]]
    assert "broker gone" in "".join(capsys.readouterr())


def test_pauses_grow_while_the_broker_is_silent(monkeypatch, events):
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr("dags.triggers.lag.asyncio.sleep", note)
    events(Bus(OSError("gone"), OSError("gone"), OSError("gone"), at(1, 1)), looks=5)
    assert pauses[:4] == [0.02, 0.04, 0.08, 0.01]


@pytest.mark.parametrize("name", ["LagTrigger", "RefineTrigger"])
def test_every_component_finds_it_under_its_name(name):
    from airflow._shared.module_loading import import_string

    from dags.triggers import lag

    path, arguments = getattr(lag, name)().serialize()
    assert import_string(path) is getattr(lag, name)
    assert arguments == {}


def test_refine_is_woken_by_tables_that_moved(monkeypatch):
    from dags.triggers import lag

    looks = iter([{}, {"landing__a": 1}, {"landing__a": 1}, {"landing__a": 2, "landing__b": 0}])
    monkeypatch.setattr("pipeline.refine.behind", lambda: next(looks))
    monkeypatch.setattr(lag, "_MOVED_SECONDS", 0.01)

    async def two() -> list[list[str]]:
        fired = lag.RefineTrigger().run()
        return [(await anext(fired)).payload["tables"] for _ in range(2)]

    assert asyncio.run(two()) == [["landing__a"], ["landing__a", "landing__b"]]

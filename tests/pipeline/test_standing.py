"""Where a table stands on its topic: lost offsets are told, and never taken for others."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from bus.ports import Polled, Reader, Record
from bus.topics import topic_of
from contracts.loader import find
from kernel import canonical
from kernel.errors import DependencyUnavailableError
from pipeline import land as landing
from pipeline.doctor import examine
from tests.pipeline.county import County, payments
from tests.pipeline.world import World, row
from tests.rows import FACTORY, record_of, stream_of

CONTRACT = find("erp.payment.v1")
TOPIC = topic_of(CONTRACT.id)


@pytest.fixture
def county(tmp_path: Path) -> County:
    return County(tmp_path)


def home(county: County) -> int:
    """Name the partition in which the test's one stream lives."""
    spans = county.bus.extents([TOPIC])[TOPIC].spans
    return next(part for part, (_, end) in spans.items() if end)


def gaps(county: County) -> list[tuple[object, ...]]:
    commits = county.store.open(CONTRACT.table).commits()
    told = [gap for each in commits for gap in each.facts.get("gaps", ())]
    return [(gap["topic"], gap["partition"], gap["first"], gap["end"]) for gap in told]


def send(county: County, *numbers: int) -> None:
    county.send(*(record_of(CONTRACT, payments(n), sequence=n) for n in numbers))


def landed(county: County) -> list[object]:
    return [row["payment_id"] for row in county.landed()]


def test_records_that_expired_before_they_were_landed_are_told_and_the_rest_lands(
    county: County,
) -> None:
    send(county, 1)
    county.land()
    send(county, 2, 3, 4)
    county.bus.expire(TOPIC, home(county), 3)
    county.land()
    assert landed(county) == ["PAY1", "PAY4"]
    assert gaps(county) == [(TOPIC, home(county), 1, 3)]
    county.land()
    assert len(gaps(county)) == 1


def test_a_topic_whose_first_records_are_gone_before_anything_was_read(county: County) -> None:
    send(county, 1, 2)
    county.bus.expire(TOPIC, home(county), 2)
    county.land()
    assert landed(county) == []
    assert gaps(county) == [(TOPIC, home(county), 0, 2)]


@pytest.mark.parametrize("sent_again", [1, 3], ids=["fewer records", "more records"])
def test_a_topic_made_anew_is_told_and_its_offsets_are_no_others(
    county: County, sent_again: int
) -> None:
    send(county, 1, 2)
    county.land()
    where = home(county)
    county.bus.drop_topic(TOPIC)
    send(county, *range(3, 3 + sent_again))
    county.land()
    assert len(landed(county)) == 2 + sent_again
    places = {(row["_topic"], row["_partition"], row["_offset"]) for row in county.landed()}
    assert len(places) == 2 + sent_again
    assert (f"{TOPIC}~2", where, 0) in places
    assert (TOPIC, where, 2, None) in gaps(county)
    # What was sent again is a repeat, also over the new topic.
    send(county, 2)
    assert county.land().counts["repeats"] == 1


def test_a_broker_that_lost_what_was_landed_is_refused_not_skipped(county: County) -> None:
    send(county, 1, 2)
    county.land()
    county.bus.log_of(TOPIC, home(county)).pop()
    with pytest.raises(DependencyUnavailableError, match="lost records"):
        county.land()


def test_a_new_partition_is_read_from_its_start(county: County) -> None:
    send(county, 1)
    county.land()
    county.bus.add_partition(TOPIC)
    send(county, 2)
    county.land()
    assert sorted(map(str, landed(county))) == ["PAY1", "PAY2"]
    assert gaps(county) == []


def uncounted(number: int) -> Record:
    """Spell a record as a vendor does who neither signs nor counts: nothing tells a repeat."""
    stream = stream_of(CONTRACT).id.replace("agent-1", "their-own")
    headers = {
        "ce_source": "/" + stream.rsplit("/", 1)[0],
        "ce_contractid": CONTRACT.id,
        "content-type": "application/json",
    }
    pairs = tuple((name, text.encode()) for name, text in headers.items())
    return Record(TOPIC, stream.encode(), canonical.dumps(payments(number)[0]), pairs)


MOMENTS = ("before the reader", "behind the reader", "before the first poll")


def meanwhile(
    county: County, monkeypatch: pytest.MonkeyPatch, moment: str, made_anew: Callable[[], None]
) -> None:
    """Make the topic anew once, at a moment between asking how far it reaches and reading it."""
    opened, waits = county.bus.reader, [made_anew]

    def at(reached: str) -> None:
        if reached == moment and waits:
            waits.pop()()

    def reader(topic: str, positions: Mapping[int, int]) -> Reader:
        at("before the reader")
        found = opened(topic, positions)
        at("behind the reader")
        poll = found.poll

        def polled(seconds: float) -> Polled:
            at("before the first poll")
            return poll(seconds)

        monkeypatch.setattr(found, "poll", polled)
        return found

    monkeypatch.setattr(county.bus, "reader", reader)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("again", [(), (4,), (4, 5), (4, 5, 6)])
@pytest.mark.parametrize("is_following", [False, True], ids=["land", "follow"])
def test_a_topic_made_anew_while_it_is_opened_is_read_as_a_new_one(
    county: County,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    again: tuple[int, ...],
    is_following: bool,
) -> None:
    county.enterprises[FACTORY] = replace(county.enterprises[FACTORY], accepts_unsigned=True)
    county.send(uncounted(1), uncounted(2))
    county.land()
    where = home(county)
    county.send(uncounted(3))

    def made_anew() -> None:
        county.bus.drop_topic(TOPIC)
        county.send(*map(uncounted, again))

    meanwhile(county, monkeypatch, moment, made_anew)
    if is_following and again:
        monkeypatch.setattr(landing, "LOOK_AGAIN_SECONDS", 0.1)
        lander, stop = county.lander(), Event()
        lander.on_commit = lambda _: stop.set()
        lander.follow(stop)
    else:
        county.land()
    places = {(row["_topic"], row["_offset"], row["payment_id"]) for row in county.landed()}
    first, anew = [(TOPIC, 0, "PAY1"), (TOPIC, 1, "PAY2")], enumerate(again)
    assert places == {*first, *((f"{TOPIC}~2", at, f"PAY{n}") for at, n in anew)}
    assert len(county.landed()) == len(places)
    assert gaps(county) == [(TOPIC, where, 2, None), (TOPIC, 1 - where, 0, None)]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_topic_deleted_while_it_is_opened_ends_the_landing(
    county: County, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    send(county, 1)
    meanwhile(county, monkeypatch, moment, lambda: county.bus.drop_topic(TOPIC))
    assert county.land().counts == {}
    assert landed(county) == []


def test_the_doctor_tells_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, monkeypatch)
    contract = "erp.payment.v1"
    world.send(contract, row(contract))
    world.land()
    where = next(p for p, (_, end) in world.bus.extents([TOPIC])[TOPIC].spans.items() if end)
    world.send(contract, row(contract, payment_id="PAY2"))
    world.bus.expire(TOPIC, where, 2)
    world.land()
    (expired,) = examine(world.settings).findings
    assert "offsets 1 to 1 were gone" in expired
    world.bus.log_of(TOPIC, where).pop()
    assert any("broker lost records" in each for each in examine(world.settings).findings)
    world.bus.drop_topic(TOPIC)
    world.send(contract, row(contract, payment_id="PAY3"))
    world.land()
    findings = examine(world.settings).findings
    assert any("was made anew when landing had read to offset 2" in each for each in findings)
    stream = stream_of(CONTRACT).id.replace("/u8/", "/books/")
    assert f"{stream}, epoch e1: sequence 2 to 2 never came." in findings

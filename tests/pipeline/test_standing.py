"""Where a table stands on its topic: lost offsets are told, and never taken for others."""

from pathlib import Path

import pytest

from bus.topics import topic_of
from contracts.loader import find
from kernel.errors import DependencyUnavailableError
from pipeline.doctor import examine
from tests.pipeline.county import County, payments
from tests.pipeline.world import World, row
from tests.rows import record_of, stream_of

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

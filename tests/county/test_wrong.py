"""Faults are asked for by name, of all factories, of one, or of one that is drawn."""

import pytest

from county.sources import SYSTEMS
from county.truth import DEMO_FAULTS, SEED
from county.world import factories
from county.wrong import NAMES, idle, of_factory, parse
from kernel.errors import ConfigurationError
from pipeline.settings import DemoSettings

FACTORIES = factories(6, SYSTEMS)


def test_faults_are_named_as_a_person_writes_them() -> None:
    assert parse("") == {}
    assert parse("bad_uscc=2, missing_day") == {"bad_uscc": 2, "missing_day": 1}
    assert parse("unpaid@3,reused=2@any") == {"unpaid@3": 1, "reused@any": 2}
    for wrong in ("nothing", "bad_uscc=x", "=1", "unpaid@x", "unpaid@"):
        with pytest.raises(ConfigurationError, match="no fault"):
            parse(wrong)


def test_faults_go_to_the_factory_that_is_named_or_drawn() -> None:
    asked = {"unpaid": 1, "unpaid@3": 2, "reused@any": 1}
    mine = [of_factory(asked, each, FACTORIES, SEED) for each in FACTORIES]
    # The first one's claim is the story's.
    assert [each.get("unpaid", 0) for each in mine] == [0, 1, 3, 1, 1, 1]
    assert sum(each.get("reused", 0) for each in mine) == 1


@pytest.mark.parametrize("seed", range(9))
def test_a_fault_is_drawn_for_a_factory_that_can_have_it(seed: int) -> None:
    drawn = [of_factory({"second_hand@any": 1}, each, FACTORIES, seed) for each in FACTORIES]
    assert drawn == [{}, {}, {}, {"second_hand": 1}, {}, {}]


def test_a_fault_that_nobody_can_have_is_told() -> None:
    asked = parse("unpaid@1,second_hand@3,late_row@5,unpaid@99,red_flushed@any,unpaid,late_row")
    told = list(idle(asked, FACTORIES, SEED))
    assert [each.partition(" ")[0] for each in told] == list(asked)[:5]
    assert "factories 7, 13, 19, …" in told[4]


def test_every_name_is_of_one_fault() -> None:
    assert len(set(NAMES)) == len(NAMES) == 19


def test_the_factory_of_the_story_has_the_faults_of_its_truth() -> None:
    asked = parse(DemoSettings().faults)
    assert of_factory(asked, FACTORIES[0], FACTORIES, SEED) == DEMO_FAULTS

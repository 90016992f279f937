"""R12: on the county's list, in the year that counts."""

from dataclasses import replace

from policy.verification.dossier import Listing
from policy.verification.r12_not_above_scale import judge_claim
from tests.policy.samples import CLAIM, LISTED, OTHER, law


def outcome(*listings: Listing, **assumed: str) -> str:
    return judge_claim(replace(CLAIM, listings=listings), law(**assumed)).outcome


def test_a_listed_enterprise_passes() -> None:
    assert outcome(LISTED) == "allowed"


def test_not_being_listed_refuses() -> None:
    assert outcome() == "refused"


def test_being_below_scale_refuses() -> None:
    assert outcome(replace(LISTED, is_above_scale=False)) == "refused"


def test_another_county_refuses() -> None:
    assert outcome(replace(LISTED, region_code="330522")) == "refused"


def test_another_enterprises_row_does_not_help() -> None:
    assert outcome(replace(LISTED, enterprise_uscc=OTHER)) == "refused"


def test_the_year_before_and_the_year_after_do_not_help() -> None:
    years = [replace(LISTED, list_year=year) for year in (2023, 2025)]
    assert outcome(*years) == "refused"


def test_the_other_reading_takes_the_year_of_filing() -> None:
    filed = replace(LISTED, list_year=2023)
    assert outcome(filed, list_year_of="filing") == "allowed"
    assert outcome(LISTED, list_year_of="filing") == "refused"


def test_lists_that_contradict_each_other_need_a_person() -> None:
    assert outcome(LISTED, replace(LISTED, is_above_scale=False)) == "needs_person"

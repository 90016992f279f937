"""R02: the contract may be signed on the window's first day, not before."""

from dataclasses import replace
from datetime import date

import pytest

from policy.verification.r02_contract_before_window import judge_line
from tests.policy.samples import CLAIM, LINE, PROJECT, law


@pytest.mark.parametrize(
    ("day", "outcome"),
    [
        (date(2022, 12, 31), "refused"),
        (date(2023, 1, 1), "allowed"),
        (date(2023, 1, 2), "allowed"),
    ],
)
def test_a_contract_before_the_window_refuses(day: date, outcome: str) -> None:
    claim = replace(CLAIM, project=replace(PROJECT, contract_signed_on=day))
    assert judge_line(claim, LINE, law()).outcome == outcome


def test_the_other_reading_begins_with_the_day_in_force() -> None:
    claim = replace(CLAIM, project=replace(PROJECT, contract_signed_on=date(2023, 7, 29)))
    assert judge_line(claim, LINE, law()).outcome == "allowed"
    assert judge_line(claim, LINE, law(window_first="2023-07-30")).outcome == "refused"

"""R14: only the highest award of all levels is paid."""

from dataclasses import replace
from decimal import Decimal

import pytest

from policy.verification.r14_other_award import judge_award
from policy.verification.verdict import Award
from tests.policy.samples import CLAIM, PROJECT, law

OURS = Award(Decimal("50000.00"), Decimal("50000.00"))


@pytest.mark.parametrize(
    ("others", "reading", "outcome", "limit"),
    [
        ("0.00", "highest_only", "allowed", None),
        ("49999.99", "highest_only", "allowed", None),
        ("50000.00", "highest_only", "refused", None),
        ("50000.01", "highest_only", "refused", None),
        ("0.00", "subtract", "allowed", None),
        ("49999.99", "subtract", "reduced", "0.01"),
        ("50000.00", "subtract", "refused", None),
        ("50000.01", "subtract", "refused", None),
    ],
)
def test_awards_of_other_levels(others: str, reading: str, outcome: str, limit: str | None) -> None:
    claim = replace(CLAIM, project=replace(PROJECT, other_awards_cny=Decimal(others)))
    verdict = judge_award(claim, law(other_awards=reading), OURS)
    assert verdict.outcome == outcome
    assert verdict.limit_cny == (Decimal(limit) if limit else None)


def test_nothing_granted_is_nothing_to_compare() -> None:
    claim = replace(CLAIM, project=replace(PROJECT, other_awards_cny=Decimal("1.00")))
    assert judge_award(claim, law(), Award(Decimal(0), Decimal(0))).outcome == "allowed"

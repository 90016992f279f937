"""R13: says what the ceiling took."""

from dataclasses import replace
from decimal import Decimal

import pytest

from policy.verification.r13_ceiling_consumed import judge_award
from policy.verification.verdict import Award
from tests.policy.samples import CLAIM, PROJECT, law


@pytest.mark.parametrize(
    ("before", "earned", "outcome", "limit"),
    [
        ("0.00", "300000.00", "allowed", None),
        ("0.00", "300000.01", "reduced", "300000.00"),
        ("0.00", "299999.99", "allowed", None),
        ("299999.99", "50000.00", "reduced", "0.01"),
        ("300000.00", "50000.00", "refused", None),
        ("300000.01", "50000.00", "refused", None),
    ],
)
def test_earlier_grants_use_up_the_ceiling(
    before: str, earned: str, outcome: str, limit: str | None
) -> None:
    claim = replace(CLAIM, project=replace(PROJECT, granted_before_cny=Decimal(before)))
    verdict = judge_award(claim, law(), Award(Decimal(earned), Decimal(0)))
    assert verdict.outcome == outcome
    assert verdict.limit_cny == (Decimal(limit) if limit else None)

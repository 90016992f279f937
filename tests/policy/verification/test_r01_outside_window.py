"""R01: the window's first day counts, its end does not."""

from dataclasses import replace
from datetime import date

import pytest

from policy.verification.r01_outside_window import judge_line
from tests.policy.samples import CLAIM, LINE, OWN, law


@pytest.mark.parametrize(
    ("day", "outcome"),
    [
        (date(2022, 12, 31), "refused"),
        (date(2023, 1, 1), "allowed"),
        (date(2025, 12, 31), "allowed"),
        (date(2026, 1, 1), "refused"),
    ],
)
def test_an_invoice_counts_from_the_first_day_up_to_the_end(day: date, outcome: str) -> None:
    verdict = judge_line(replace(CLAIM, invoices=(replace(OWN, issued_on=day),)), LINE, law())
    assert verdict is not None
    assert verdict.outcome == outcome


def test_the_claimed_day_is_no_evidence() -> None:
    late = replace(OWN, issued_on=date(2026, 1, 1))
    verdict = judge_line(replace(CLAIM, invoices=(late,)), LINE, law())
    assert verdict is not None
    assert verdict.outcome == "refused"
    assert verdict.origins == (OWN.origin, LINE.origin)


def test_without_the_factorys_invoice_there_is_no_day_to_judge() -> None:
    assert judge_line(replace(CLAIM, invoices=()), LINE, law()) is None

"""R03: the buyer on claim and invoice is the applicant."""

from dataclasses import replace

from policy.verification.r03_other_buyer import judge_line
from tests.policy.samples import CLAIM, LINE, OTHER, OWN, law


def test_the_applicant_bought() -> None:
    verdict = judge_line(CLAIM, LINE, law())
    assert verdict is not None
    assert verdict.outcome == "allowed"


def test_another_buyer_on_the_claim_refuses() -> None:
    verdict = judge_line(CLAIM, replace(LINE, buyer_uscc=OTHER), law())
    assert verdict is not None
    assert verdict.outcome == "refused"


def test_another_buyer_on_the_invoice_refuses_whatever_the_claim_says() -> None:
    claim = replace(CLAIM, invoices=(replace(OWN, buyer_uscc=OTHER),))
    verdict = judge_line(claim, LINE, law())
    assert verdict is not None
    assert verdict.outcome == "refused"


def test_the_claim_alone_allows_nothing() -> None:
    assert judge_line(replace(CLAIM, invoices=()), LINE, law()) is None

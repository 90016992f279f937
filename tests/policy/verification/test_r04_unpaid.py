"""R04: paid in full, in part, to somebody else, or not at all."""

from dataclasses import replace
from decimal import Decimal

import pytest

from policy.verification.dossier import Payment
from policy.verification.r04_unpaid import judge_line
from policy.verification.verdict import Verdict
from tests.policy.samples import CLAIM, LINE, OTHER, OWN, PAID, law


def judge(*payments: Payment, **assumed: str) -> Verdict:
    verdict = judge_line(replace(CLAIM, payments=payments), LINE, law(**assumed))
    assert verdict is not None
    return verdict


@pytest.mark.parametrize(
    ("paid", "outcome", "limit"),
    [
        ("113000.00", "allowed", None),
        ("113000.01", "allowed", None),
        ("112999.99", "reduced", "99999.99"),
        ("56500.00", "reduced", "50000.00"),
        ("0.01", "reduced", "0.01"),
        ("0.00", "refused", None),
        ("-0.01", "refused", None),
    ],
)
def test_what_is_unpaid_does_not_count(paid: str, outcome: str, limit: str | None) -> None:
    verdict = judge(replace(PAID, paid_amount=Decimal(paid)))
    assert verdict.outcome == outcome
    assert verdict.limit_cny == (Decimal(limit) if limit else None)


def test_tax_counts_in_proportion_where_claims_count_with_tax() -> None:
    verdict = judge(replace(PAID, paid_amount=Decimal("56500.00")), amount_basis="gross")
    assert verdict.limit_cny == Decimal("56500.00")


def test_payments_add_up_and_money_paid_back_is_taken_off() -> None:
    first = replace(PAID, paid_amount=Decimal("100000.00"))
    second = replace(PAID, payment_id="P-2", paid_amount=Decimal("13000.00"))
    back = replace(PAID, payment_id="P-3", paid_amount=Decimal("-56500.00"))
    assert judge(first, second).outcome == "allowed"
    assert judge(first, second, back).limit_cny == Decimal("50000.00")


def test_no_payment_refuses() -> None:
    assert judge().outcome == "refused"


def test_money_that_went_to_somebody_else_paid_nothing() -> None:
    assert judge(replace(PAID, payee_uscc=OTHER)).outcome == "refused"


def test_a_payment_held_by_two_systems_counts_once() -> None:
    half = replace(PAID, paid_amount=Decimal("56500.00"))
    assert judge(half, replace(half, origin="elsewhere")).limit_cny == Decimal("50000.00")


def test_one_payment_with_two_amounts_needs_a_person() -> None:
    assert judge(PAID, replace(PAID, paid_amount=Decimal("1.00"))).outcome == "needs_person"


def test_foreign_money_needs_a_person() -> None:
    assert judge(replace(PAID, currency="USD")).outcome == "needs_person"


def test_every_line_of_the_invoice_shares_its_payments() -> None:
    second = replace(OWN, line_no=2)
    claim = replace(CLAIM, invoices=(OWN, second))
    verdict = judge_line(claim, LINE, law())
    assert verdict is not None
    assert verdict.limit_cny == Decimal("50000.00")


def test_without_an_invoice_there_is_no_total_to_compare() -> None:
    assert judge_line(replace(CLAIM, invoices=()), LINE, law()) is None

"""R15: as on the factory's own invoice, and booked."""

from dataclasses import replace
from decimal import Decimal

import pytest

from policy.verification.r15_not_in_books import judge_line
from tests.policy.samples import BOOKED, CLAIM, LINE, OWN, law


def test_what_invoice_and_ledger_say_is_allowed() -> None:
    verdict = judge_line(CLAIM, LINE, law())
    assert verdict.outcome == "allowed"
    assert verdict.origins == (OWN.origin, BOOKED.origin, LINE.origin)


def test_no_invoice_of_the_factory_refuses() -> None:
    assert judge_line(replace(CLAIM, invoices=()), LINE, law()).outcome == "refused"


def test_another_line_of_the_invoice_is_no_evidence() -> None:
    claim = replace(CLAIM, invoices=(replace(OWN, line_no=2),))
    assert judge_line(claim, LINE, law()).outcome == "refused"


@pytest.mark.parametrize("net", ["99999.99", "100000.01"])
def test_a_fen_more_or_less_than_the_invoice_refuses(net: str) -> None:
    assert judge_line(CLAIM, replace(LINE, net_cny=Decimal(net)), law()).outcome == "refused"


@pytest.mark.parametrize("tax", ["12999.99", "13000.01"])
def test_so_does_its_tax(tax: str) -> None:
    assert judge_line(CLAIM, replace(LINE, tax_cny=Decimal(tax)), law()).outcome == "refused"


def test_no_entry_in_the_ledger_refuses() -> None:
    assert judge_line(replace(CLAIM, ledger=()), LINE, law()).outcome == "refused"


@pytest.mark.parametrize(
    ("debit", "outcome"),
    [("99999.99", "refused"), ("100000.00", "allowed"), ("100000.01", "allowed")],
)
def test_the_net_amount_must_be_booked(debit: str, outcome: str) -> None:
    claim = replace(CLAIM, ledger=(replace(BOOKED, debit_amount=Decimal(debit)),))
    assert judge_line(claim, LINE, law()).outcome == outcome


def test_paying_the_debt_books_no_spending() -> None:
    claim = replace(CLAIM, ledger=(replace(BOOKED, account_code="2202"),))
    assert judge_line(claim, LINE, law()).outcome == "refused"


def test_a_booking_that_was_reversed_is_none() -> None:
    back = replace(
        BOOKED, entry_id="E-2", debit_amount=Decimal("0.00"), credit_amount=Decimal("100000.00")
    )
    assert judge_line(replace(CLAIM, ledger=(BOOKED, back)), LINE, law()).outcome == "refused"


def test_foreign_money_on_invoice_or_ledger_needs_a_person() -> None:
    invoice = replace(CLAIM, invoices=(replace(OWN, currency="USD"),))
    ledger = replace(CLAIM, ledger=(replace(BOOKED, currency="EUR"),))
    assert judge_line(invoice, LINE, law()).outcome == "needs_person"
    assert judge_line(ledger, LINE, law()).outcome == "needs_person"


def test_two_systems_that_contradict_each_other_need_a_person() -> None:
    claim = replace(CLAIM, invoices=(OWN, replace(OWN, net_amount=Decimal("1.00"))))
    assert judge_line(claim, LINE, law()).outcome == "needs_person"

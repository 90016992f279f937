"""R05: what was taken back was no spending."""

from dataclasses import replace
from decimal import Decimal

import pytest

from policy.verification.dossier import InvoiceLine
from policy.verification.r05_red_flushed import judge_line
from tests.policy.samples import CLAIM, LINE, OWN, RED, law

ALMOST = replace(RED, net_amount=Decimal("-99999.99"))
MORE = replace(RED, net_amount=Decimal("-100000.01"))
OF_ANOTHER = replace(RED, red_of_invoice_no="24332000000000000077")


@pytest.mark.parametrize(
    ("says", "red", "outcome"),
    [
        ("A red invoice over the whole refuses.", RED, "refused"),
        ("A fen more refuses.", MORE, "refused"),
        (
            "A fen less is a part, and which line it takes a person must see.",
            ALMOST,
            "needs_person",
        ),
        ("A red invoice of another invoice does not matter.", OF_ANOTHER, "allowed"),
    ],
)
def test_red_invoices(says: str, red: InvoiceLine, outcome: str) -> None:
    verdict = judge_line(replace(CLAIM, invoices=(OWN, red)), LINE, law())
    assert verdict.outcome == outcome, says


def test_nothing_red_allows() -> None:
    assert judge_line(CLAIM, LINE, law()).outcome == "allowed"


def test_a_claimed_invoice_that_is_red_itself_refuses() -> None:
    claim = replace(CLAIM, invoices=(replace(OWN, is_red=True),))
    assert judge_line(claim, LINE, law()).outcome == "refused"

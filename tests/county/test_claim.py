"""The answers worked out by hand are those that the law gives on the same facts."""

from datetime import date

from county.books import Books
from county.retrofit import dossier
from county.truth import CLAIM, demo_books
from county.world import Row
from policy.decision import decide
from policy.verification import dossier as facts


def fields(row: object) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def rows(books: Books, contract: str) -> list[Row]:
    """Give the factory's rows of the invoices that the claim names."""
    named = {line.invoice_no for line in dossier().lines}
    return [each for each in books[contract] if each["invoice_no"] in named]


def only(row: Row, kind: type) -> dict[str, object]:
    """Give the columns that a fact of the policy has."""
    return {name: row.get(name) for name in kind.__dataclass_fields__ if name != "origin"}


def as_policy_sees_it(books: Books) -> facts.Dossier:
    """Put registry rows and the factory's own rows side by side, as the mart tables do."""
    told = dossier()
    listings = [fields(each) for each in told.listings]
    return facts.Dossier(
        claim_id=CLAIM.claim_id,
        project=facts.Project(**fields(told.project), origin="project"),
        lines=tuple(facts.ClaimLine(**fields(e), origin=f"line{e.line_no}") for e in told.lines),
        invoices=tuple(
            facts.InvoiceLine(**only(each, facts.InvoiceLine), origin="invoice")
            for each in rows(books, "erp.purchase_invoice.v1")
        ),
        payments=tuple(
            facts.Payment(**only(each, facts.Payment), origin="payment")
            for each in rows(books, "erp.payment.v1")
        ),
        ledger=tuple(
            facts.LedgerEntry(**only(each, facts.LedgerEntry), origin="entry")
            for each in rows(books, "erp.ledger_entry.v1")
        ),
        acceptance=facts.Acceptance(**fields(told.acceptance), origin="acceptance"),
        listings=tuple(
            facts.Listing(**{k: v for k, v in row.items() if k != "name"}, origin=f"listing{n}")
            for n, row in enumerate(listings)
        ),
        other_uses=(),
    )


def test_the_law_gives_the_award_that_was_worked_out_by_hand() -> None:
    decision = decide(as_policy_sees_it(demo_books()[0]), date(2024, 8, 1))
    outcomes = {each.line_no: (str(each.outcome), each.allowed_cny) for each in decision.lines}
    assert outcomes == {each.line_no: (each.outcome, each.allowed_cny) for each in CLAIM.lines}
    for told in CLAIM.lines:
        line = next(each for each in decision.lines if each.line_no == told.line_no)
        speaking = {v.rule for v in line.verdicts if str(v.outcome) != "allowed"}
        assert speaking == ({told.rule} if told.rule else set())
    assert decision.eligible_cny == CLAIM.eligible_cny
    assert decision.amount_cny == CLAIM.award_cny
    assert str(decision.outcome) == "granted"

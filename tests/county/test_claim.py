"""The answers worked out by hand are those that the law gives on the same facts."""

from datetime import date

from county.books import ACCOUNTS, make_books
from county.retrofit import dossier
from county.truth import CLAIM, SEED
from county.world import FACTORY, Books
from policy.decision import decide
from policy.verification import dossier as facts


def fields(row: object) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def invoice_lines(books: Books, named: set[str]) -> tuple[facts.InvoiceLine, ...]:
    return tuple(
        facts.InvoiceLine(
            invoice_no=invoice.number,
            line_no=number,
            issued_on=invoice.day,
            seller_uscc=invoice.vendor.uscc,
            buyer_uscc=FACTORY,
            item_text=line.item,
            net_amount=line.net,
            tax_amount=line.tax,
            currency="CNY",
            is_red=False,
            red_of_invoice_no=None,
            origin=f"invoice{invoice.id}/{number}",
        )
        for invoice in books.invoices
        if invoice.number in named
        for number, line in enumerate(invoice.lines, 1)
    )


def payments(books: Books, named: set[str]) -> tuple[facts.Payment, ...]:
    return tuple(
        facts.Payment(
            payment_id=str(each.id),
            invoice_no=each.invoice,
            payee_uscc=each.vendor.uscc,
            paid_on=each.day,
            paid_amount=each.amount,
            currency="CNY",
            origin=f"payment{each.id}",
        )
        for each in books.payments
        if each.invoice in named
    )


def as_policy_sees_it(books: Books) -> facts.Dossier:
    """Put registry rows and the factory's own rows side by side, as the mart tables do."""
    told = dossier()
    named = {line.invoice_no for line in told.lines}
    listings = [fields(each) for each in told.listings]
    return facts.Dossier(
        claim_id=CLAIM.claim_id,
        project=facts.Project(**fields(told.project), origin="project"),
        lines=tuple(facts.ClaimLine(**fields(e), origin=f"line{e.line_no}") for e in told.lines),
        invoices=invoice_lines(books, named),
        payments=payments(books, named),
        ledger=tuple(
            facts.LedgerEntry(
                entry_id=str(each.id),
                voucher_no=str(each.voucher),
                invoice_no=each.invoice or "",
                booked_on=each.day,
                account_code=each.account,
                debit_amount=each.debit,
                credit_amount=each.credit,
                currency="CNY",
                origin=f"entry{each.id}",
            )
            for each in books.entries
            if each.invoice in named and each.account in ACCOUNTS
        ),
        acceptance=facts.Acceptance(**fields(told.acceptance), origin="acceptance"),
        listings=tuple(
            facts.Listing(**{k: v for k, v in row.items() if k != "name"}, origin=f"listing{n}")
            for n, row in enumerate(listings)
        ),
        other_uses=(),
    )


def test_the_law_gives_the_award_that_was_worked_out_by_hand() -> None:
    decision = decide(as_policy_sees_it(make_books(SEED)), date(2024, 8, 1))
    outcomes = {each.line_no: (str(each.outcome), each.allowed_cny) for each in decision.lines}
    assert outcomes == {each.line_no: (each.outcome, each.allowed_cny) for each in CLAIM.lines}
    for told in CLAIM.lines:
        line = next(each for each in decision.lines if each.line_no == told.line_no)
        speaking = {v.rule for v in line.verdicts if str(v.outcome) != "allowed"}
        assert speaking == ({told.rule} if told.rule else set())
    assert decision.eligible_cny == CLAIM.eligible_cny
    assert decision.amount_cny == CLAIM.award_cny
    assert str(decision.outcome) == "granted"

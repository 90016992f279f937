"""R15: what is claimed must be what the factory's own invoice says and its ledger booked."""

from kernel.money import NOTHING
from policy.lang import Case
from policy.verification.books import Books, books_of, contradictory, foreign, origins
from policy.verification.dossier import ClaimLine, Dossier
from policy.verification.verdict import Rule, Verdict

RULE = Rule("R15")


def judge_line(dossier: Dossier, line: ClaimLine, case: Case) -> Verdict:
    """Compare the claimed amounts with the invoice, and the invoice with the ledger."""
    books = books_of(dossier, line)
    own = books.line
    rows = [line.origin, *origins(books.invoice), *origins(books.ledger)]
    if own is None:
        return RULE.refuses(
            "企业自有系统中没有这一发票行", "the factory's own books hold no such line", rows
        )
    if _is_unclear(books):
        return RULE.asks(
            "发票或记账为外币，或记录相互矛盾",
            "invoice or ledger are in another currency or contradict themselves",
            rows,
        )
    if (line.net_cny, line.tax_cny) != (own.net_amount, own.tax_amount):
        return RULE.refuses(
            f"申报{line.net_cny}＋{line.tax_cny}元，发票{own.net_amount}＋{own.tax_amount}元",
            f"claimed {line.net_cny} + {line.tax_cny} yuan,"
            f" the invoice says {own.net_amount} + {own.tax_amount}",
            rows,
        )
    return _booked(books, case, rows)


def _is_unclear(books: Books) -> bool:
    return (
        foreign(books.invoice)
        or foreign(books.ledger)
        or contradictory(books.invoice)
        or contradictory(books.ledger)
    )


def _booked(books: Books, case: Case, rows: list[str]) -> Verdict:
    """Count what stands on accounts for assets and costs; paying a debt books no spending."""
    accounts = case.names_in("booking_accounts")
    booked = sum(
        (
            entry.debit_amount - entry.credit_amount
            for entry in books.ledger
            if entry.account_code.startswith(accounts)
        ),
        NOTHING,
    )
    if booked < books.net:
        return RULE.refuses(
            f"发票不含税{books.net}元，账上仅{booked}元",
            f"of {books.net} yuan net, the ledger booked {booked}",
            rows,
        )
    return RULE.allows("与发票和账簿一致", "as on the invoice and in the ledger", rows)

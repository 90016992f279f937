"""R05: an invoice that was taken back, by a red one, was no spending."""

from kernel.money import NOTHING
from policy.lang import Case
from policy.verification.books import books_of, origins
from policy.verification.dossier import ClaimLine, Dossier
from policy.verification.verdict import Rule, Verdict

RULE = Rule("R05")


def judge_line(dossier: Dossier, line: ClaimLine, _case: Case) -> Verdict:
    """Look for red invoices that name the line's invoice, or for a line that is red itself."""
    books = books_of(dossier, line)
    rows = [line.origin, *origins(books.invoice), *origins(books.reds)]
    if not books.reds:
        return RULE.allows("未被红冲", "not taken back", rows)
    taken_back = sum((abs(red.net_amount + red.tax_amount) for red in books.reds), NOTHING)
    is_red_itself = any(red.invoice_no == line.invoice_no for red in books.reds)
    if is_red_itself or taken_back >= books.total:
        return RULE.refuses("发票已被红冲", "the invoice was taken back by a red one", rows)
    # A red invoice names the blue invoice, not its lines.
    return RULE.asks(
        "发票被部分红冲，需人工确认涉及哪一行",
        "a part of the invoice was taken back; which line, a person must see",
        rows,
    )

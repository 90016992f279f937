"""R04: only what was paid counts; a part-paid invoice counts in proportion."""

from kernel.money import NOTHING
from policy.lang import Case
from policy.verification.books import books_of, claimed, contradictory, foreign, origins
from policy.verification.dossier import ClaimLine, Dossier
from policy.verification.verdict import Rule, Verdict

RULE = Rule("R04")


def judge_line(dossier: Dossier, line: ClaimLine, case: Case) -> Verdict | None:
    """Compare the payments to the invoice's seller with the invoice's total, tax included."""
    books = books_of(dossier, line)
    own = books.line
    rows = [line.origin, *origins(books.invoice), *origins(books.payments)]
    # Money that went to somebody else has not paid this seller.
    paid_rows = [each for each in books.payments if own and each.payee_uscc == own.seller_uscc]
    paid = sum((each.paid_amount for each in paid_rows), NOTHING)
    if foreign(books.payments) or contradictory(books.payments):
        return RULE.asks(
            "付款为外币或付款记录相互矛盾",
            "payments are in another currency or contradict each other",
            rows,
        )
    if not books.payments or (own is not None and paid <= 0):
        return RULE.refuses("未向销方付款", "nothing was paid to the seller", rows)
    if own is None:
        return None
    if paid >= books.total:
        return RULE.allows("已足额付款", "paid in full", rows)
    share = case.round_fen(claimed(line, case) * paid / books.total)
    return RULE.reduces(
        share,
        f"发票价税合计{books.total}元，仅付{paid}元，按比例计算",
        f"{paid} of {books.total} yuan was paid; counted in proportion",
        rows,
    )

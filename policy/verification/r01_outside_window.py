"""R01: an invoice counts only if it was issued within the programme's window."""

from kernel.span import Span
from policy.lang import Case
from policy.verification.books import books_of
from policy.verification.dossier import ClaimLine, Dossier
from policy.verification.verdict import Rule, Verdict

RULE = Rule("R01")


def judge_line(dossier: Dossier, line: ClaimLine, case: Case) -> Verdict | None:
    """Compare the day on the factory's own invoice with the window."""
    own = books_of(dossier, line).line
    if own is None:
        return None
    window = Span(case.date_of("window_first"), case.date_of("window_end"))
    if own.issued_on in window:
        return RULE.allows("开票日期在政策期内", "issued within the window", [own.origin])
    return RULE.refuses(
        f"开票日期{own.issued_on}不在政策期内",
        f"issued on {own.issued_on}, outside the window",
        [line.origin, own.origin],
    )

"""R06: an invoice line pays once; the later of two uses loses."""

from policy.lang import Case
from policy.verification.dossier import ClaimLine, Dossier
from policy.verification.verdict import Rule, Verdict

RULE = Rule("R06")


def judge_line(dossier: Dossier, line: ClaimLine, _case: Case) -> Verdict:
    """Look for an earlier use of the same invoice line, in this claim or in another."""
    uses = [
        use
        for use in (*dossier.lines, *dossier.other_uses)
        if (use.invoice_no, use.invoice_line_no) == (line.invoice_no, line.invoice_line_no)
    ]
    earlier = [use for use in uses if use.key < line.key]
    if earlier:
        first = min(use.key for use in earlier)
        return RULE.refuses(
            f"同一发票行已用于申报{first[0]}第{first[1]}行",
            f"the same invoice line is claimed in {first[0]}, line {first[1]}",
            [line.origin, *(use.origin for use in earlier)],
        )
    if sum(use.key == line.key for use in dossier.lines) > 1:
        return RULE.asks(
            "同一申报行出现两次", "the line of the claim is there twice", [line.origin]
        )
    return RULE.allows("首次使用", "the first use", [line.origin])

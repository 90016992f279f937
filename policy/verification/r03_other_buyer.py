"""R03: the applicant itself must have bought."""

from policy.lang import Case
from policy.verification.books import books_of
from policy.verification.dossier import ClaimLine, Dossier
from policy.verification.verdict import Rule, Verdict

RULE = Rule("R03")


def judge_line(dossier: Dossier, line: ClaimLine, _case: Case) -> Verdict | None:
    """Compare the buyer, as claimed and on the factory's own invoice, with the applicant."""
    applicant = dossier.project.enterprise_uscc
    own = books_of(dossier, line).line
    rows = [line.origin, dossier.project.origin, *([own.origin] if own else [])]
    if line.buyer_uscc != applicant or (own is not None and own.buyer_uscc != applicant):
        return RULE.refuses("购方不是申报企业", "the buyer is not the applicant", rows)
    if own is None:
        return None
    return RULE.allows("购方为申报企业", "the buyer is the applicant", rows)

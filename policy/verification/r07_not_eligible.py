"""R07: only the kinds of spending that the programme names count."""

from policy.lang import Case
from policy.verification.dossier import ClaimLine, Dossier
from policy.verification.verdict import Rule, Verdict

RULE = Rule("R07")


def judge_line(_dossier: Dossier, line: ClaimLine, case: Case) -> Verdict:
    """Compare the line's category with the programme's list."""
    if line.category in case.names_in("eligible_categories"):
        return RULE.allows("属可补贴类别", "the category is eligible", [line.origin])
    return RULE.refuses(
        f"类别“{line.category}”不在可补贴范围",
        f"the category {line.category} is not eligible",
        [line.origin],
    )

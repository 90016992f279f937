"""R13: what an enterprise was granted before uses up its ceiling."""

from kernel.money import NOTHING
from policy.lang import Case
from policy.verification.dossier import Dossier
from policy.verification.verdict import Award, Rule, Verdict

RULE = Rule("R13")


def judge_award(dossier: Dossier, case: Case, award: Award) -> Verdict:
    """Say what the ceiling took from the enterprise's share; the clause itself applies it."""
    before = dossier.project.granted_before_cny
    ceiling = case.parameter("ceiling_cny")
    left = max(ceiling - before, NOTHING)
    rows = [dossier.project.origin]
    if award.earned_cny <= left:
        return RULE.allows("未超过最高补贴额", "within the ceiling", rows)
    if left == 0:
        return RULE.refuses("最高补贴额已用完", "earlier grants used up the ceiling", rows)
    return RULE.reduces(
        left,
        f"按比例应补{award.earned_cny}元，最高额{ceiling}元扣除已补{before}元后剩{left}元",
        f"of a share of {award.earned_cny} yuan, the ceiling leaves {left}",
        rows,
    )

"""R14: for one project only the highest award of all levels is paid, not several."""

from policy.lang import Case
from policy.verification.dossier import Dossier
from policy.verification.verdict import Award, Rule, Verdict

RULE = Rule("R14")


def judge_award(dossier: Dossier, case: Case, award: Award) -> Verdict:
    """Compare the grant with what other levels awarded for the same project."""
    others = dossier.project.other_awards_cny
    rows = [dossier.project.origin]
    is_subtracted = case.choice("other_awards") == "subtract"
    if others <= 0 or award.granted_cny <= 0:
        return RULE.allows(
            "无其他层级奖补冲突", "no award of another level stands against it", rows
        )
    if others >= award.granted_cny:
        return RULE.refuses(
            f"其他层级已奖补{others}元，不低于本条，不重复享受",
            f"other levels awarded {others} yuan, no less than this clause would",
            rows,
        )
    if is_subtracted:
        return RULE.reduces(
            award.granted_cny - others,
            f"扣除其他层级已奖补{others}元",
            f"less the {others} yuan that other levels awarded",
            rows,
        )
    return RULE.allows(
        f"本条高于其他层级奖补{others}元，就高",
        f"higher than the {others} yuan of other levels, so this one is paid",
        rows,
    )

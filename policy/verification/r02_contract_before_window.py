"""R02: what was ordered before the window began is not an answer to the programme."""

from policy.lang import Case
from policy.verification.dossier import ClaimLine, Dossier
from policy.verification.verdict import Rule, Verdict

RULE = Rule("R02")


def judge_line(dossier: Dossier, line: ClaimLine, case: Case) -> Verdict:
    """Compare the day of the contract with the first day of the window."""
    signed = dossier.project.contract_signed_on
    if signed >= case.date_of("window_first"):
        return RULE.allows(
            "合同签订在政策期内", "contract signed within the window", [dossier.project.origin]
        )
    return RULE.refuses(
        f"合同签订日期{signed}早于政策期",
        f"contract signed on {signed}, before the window",
        [line.origin, dossier.project.origin],
    )

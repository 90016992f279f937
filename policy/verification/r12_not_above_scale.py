"""R12: the enterprise must be on the county's list of enterprises above scale in the right year."""

from policy.lang import Case
from policy.verification.dossier import Dossier
from policy.verification.verdict import Rule, Verdict

RULE = Rule("R12")


def judge_claim(dossier: Dossier, case: Case) -> Verdict:
    """Look the enterprise up in the government's list of the year that counts."""
    project = dossier.project
    by_filing = case.choice("list_year_of") == "filing"
    year = project.filed_on.year if by_filing else case.day.year
    county = case.choice("county_code")
    rows = [
        each
        for each in dossier.listings
        if (each.enterprise_uscc, each.list_year) == (project.enterprise_uscc, year)
    ]
    origins = [project.origin, *(each.origin for each in rows)]
    listed = {each.is_above_scale and each.region_code == county for each in rows}
    if len(listed) > 1:
        return RULE.asks(
            f"{year}年规上名录相互矛盾", f"the lists of {year} contradict each other", origins
        )
    if listed == {True}:
        return RULE.allows(f"在{year}年本县规上名录", f"on the county's list of {year}", origins)
    return RULE.refuses(f"不在{year}年本县规上名录", f"not on the county's list of {year}", origins)

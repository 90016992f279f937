"""The answers worked out by hand are those that the law gives on the same facts."""

from collections import Counter
from datetime import date

import pytest

from county import claims
from county.claims import ClaimTruth
from county.generate import Asked, County, Held
from county.retrofit import Dossier
from county.sources import knows_red
from county.truth import CLAIM, SEED
from county.world import Factory, Row
from policy.decision import decide
from policy.verification import dossier as facts

DAY = date(2024, 12, 31)
COUNTY = County(Asked(6, 2, SEED, dict.fromkeys(claims.FAULTS, 2)))


def fields(row: object) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def only(row: Row, kind: type) -> dict[str, object]:
    """Give the columns that a fact of the policy has."""
    return {name: row.get(name) for name in kind.__dataclass_fields__ if name != "origin"}


def claim_lines(told: Dossier) -> list[facts.ClaimLine]:
    return [facts.ClaimLine(**fields(each), origin=f"line{each.line_no}") for each in told.lines]


def as_policy_sees_it(held: Held, told: Dossier) -> facts.Dossier:
    """Put registry rows and the factory's own rows side by side, as the mart tables do."""
    named = {line.invoice_no for line in told.lines}

    def rows(contract: str, kind: type) -> tuple[object, ...]:
        return tuple(
            kind(**only(each, kind), origin=f"{contract}/{n}")
            for n, each in enumerate(held.books[contract])
            if named & {each["invoice_no"], each.get("red_of_invoice_no")}
        )

    others = [each for each in held.filed.dossiers if each is not told]
    return facts.Dossier(
        claim_id=told.lines[0].claim_id,
        project=facts.Project(**fields(told.project), origin="project"),
        lines=tuple(claim_lines(told)),
        invoices=rows("erp.purchase_invoice.v1", facts.InvoiceLine),
        payments=rows("erp.payment.v1", facts.Payment),
        ledger=rows("erp.ledger_entry.v1", facts.LedgerEntry),
        acceptance=facts.Acceptance(**fields(told.acceptance), origin="acceptance"),
        listings=tuple(
            facts.Listing(**only(each, facts.Listing), origin=f"list/{each['list_year']}")
            for each in held.feeds["gov.enterprise.v1"]
        ),
        other_uses=tuple(line for each in others for line in claim_lines(each)),
    )


def require(truth: ClaimTruth, held: Held, told: Dossier) -> None:
    decision = decide(as_policy_sees_it(held, told), DAY)
    found = [
        (
            each.line_no,
            str(each.outcome),
            each.allowed_cny,
            "".join(v.rule for v in each.verdicts if str(v.outcome) != "allowed"),
        )
        for each in decision.lines
    ]
    assert found == [(e.line_no, e.outcome, e.allowed_cny, e.rule) for e in truth.lines]
    assert decision.eligible_cny == truth.eligible_cny
    assert decision.amount_cny == truth.award_cny
    assert str(decision.outcome) == ("refused" if truth.rule else "granted")
    against = {v.rule for v in decision.verdicts if str(v.outcome) == "refused"}
    assert against == ({truth.rule} if truth.rule else set())


def test_the_law_gives_the_award_that_was_worked_out_by_hand() -> None:
    held = COUNTY.make(COUNTY.factories[0])
    assert held.filed.truths == (CLAIM,)
    require(CLAIM, held, held.filed.dossiers[0])


@pytest.mark.parametrize("factory", COUNTY.factories[1:], ids=lambda each: each.system)
def test_every_factory_s_claims_get_the_answers_of_its_truth(factory: Factory) -> None:
    held = COUNTY.make(factory)
    for truth, told in zip(held.filed.truths, held.filed.dossiers, strict=True):
        require(truth, held, told)
    planted = Counter(line.fault for truth in held.filed.truths for line in truth.lines)
    wanted = dict.fromkeys(claims.FAULTS, 2) | {"split_claim": 4, "": 4}
    if not knows_red(factory):
        del wanted["red_flushed"]
    assert planted == wanted

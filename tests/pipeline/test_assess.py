"""Assess: one decision for one state of facts, on the factory's own rows."""

from decimal import Decimal

from kernel import canonical
from pipeline.assess import assess, decisions
from pipeline.land import land
from pipeline.refine import refine
from tests.pipeline.world import CLAIM, INVOICES, SELLER, World, row, send_books, send_dossier


def _lines(world: World) -> dict[int, str]:
    (decided,) = decisions(world.store)
    decision = canonical.loads(decided["decision"])
    return {line["line_no"]: line["outcome"] for line in decision["lines"]}


def test_a_claim_is_decided_on_the_factorys_own_rows(played: World) -> None:
    (decided,) = decisions(played.store)
    assert (decided["claim_id"], decided["outcome"]) == (CLAIM, "granted")
    # Two lines of 100,000 stand; an unpaid one and one that is in nobody's books do not.
    assert decided["amount_cny"] == Decimal("50000.00")
    assert _lines(played) == {1: "allowed", 2: "allowed", 3: "refused", 4: "refused"}


def test_the_same_facts_are_decided_once(played: World) -> None:
    assert assess()["decided"] == []


def test_a_claim_waits_for_its_acceptance(world: World) -> None:
    send_books(world)
    world.send("retrofit.project.v1", row("retrofit.project.v1"))
    world.send("retrofit.invoice_line.v1", row("retrofit.invoice_line.v1"))
    world.land()
    refine()
    assert assess()["decided"] == []


def test_new_facts_are_followed_by_a_new_decision_and_the_old_one_stays(world: World) -> None:
    send_books(world)
    send_dossier(world)
    world.land()
    refine()
    assess()
    payment = "erp.payment.v1"
    world.send(payment, row(payment, payment_id="P9", invoice_no=INVOICES[2], payee_uscc=SELLER))
    land(payment)
    refine()
    assert assess()["decided"] == [CLAIM]
    (decided,) = decisions(world.store)
    assert (decided["number"], decided["amount_cny"]) == (2, Decimal("75000.00"))
    assert world.store.open("decision").dataset().count_rows() == 2


def test_another_factorys_rows_are_no_evidence(world: World) -> None:
    """The claimed dossier alone, or somebody else's books, prove nothing."""
    send_dossier(world)
    world.land()
    refine()
    assess()
    (decided,) = decisions(world.store)
    assert (decided["outcome"], decided["amount_cny"]) == ("refused", Decimal("0.00"))

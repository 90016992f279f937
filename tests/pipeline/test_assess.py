"""Assess: one decision for one state of facts, on the factory's own rows."""

from datetime import date
from decimal import Decimal

import pytest

from kernel import canonical, clock
from kernel.errors import ChecksFailedError
from pipeline import pack
from pipeline.assess import assess, decisions
from pipeline.land import land
from pipeline.refine import refine
from pipeline.seal import pack_path, seal
from pipeline.verify import verify
from tests.pipeline.world import (
    CLAIM,
    FACTORY,
    INVOICES,
    SELLER,
    World,
    row,
    send_books,
    send_dossier,
)


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


def test_a_claim_that_cannot_be_judged_is_named_and_stops_no_other(world: World) -> None:
    """The bad ones come before and after the good one, so that none is passed by luck."""
    project, line = "retrofit.project.v1", "retrofit.invoice_line.v1"
    send_books(world)
    send_dossier(world)
    world.send(project, row(project, project_id="PRJ-OTHER", enterprise_uscc=FACTORY))
    for claim in ("CL-2023-999", "CL-2024-999"):
        for place, named in enumerate((row(line)["project_id"], "PRJ-OTHER"), start=1):
            world.send(line, row(line, claim_id=claim, line_no=place, project_id=named))
    world.land()
    refine()
    with pytest.raises(ChecksFailedError) as stopped:
        assess()
    for said in ("CL-2023-999", "CL-2024-999", "names 2 projects", "Cure: correct"):
        assert said in str(stopped.value)
    assert [each["claim_id"] for each in decisions(world.store)] == [CLAIM]


def _decided(world: World) -> None:
    send_books(world)
    send_dossier(world)
    world.land()
    refine()
    assert assess()["decided"] == [CLAIM]


def test_the_same_row_published_again_is_no_new_fact_and_the_decision_still_recomputes(
    world: World,
) -> None:
    """The rows behind the decision have newer twins; the pack is made of those it rests on."""
    _decided(world)
    payment = "erp.payment.v1"
    world.send(payment, row(payment, payment_id="PAY0", invoice_no=INVOICES[0], payee_uscc=SELLER))
    world.land()
    refine()
    assert assess()["decided"] == []
    seal()
    (decided,) = decisions(world.store)
    assert verify(pack_path(world.settings, decided)).amount_cny == "50000.00"


def test_a_changed_clause_or_parameter_is_decided_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _decided(world)
    changed = {**pack.code_files(), "policy/programmes/anji_2023/parameters/a09.yaml": "0" * 64}
    monkeypatch.setattr(pack, "code_files", lambda: changed)
    assert assess()["decided"] == [CLAIM]


def test_a_claim_is_decided_again_on_the_day_of_its_acceptance(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acceptance may be filed before its day; the facts do not change when the day comes."""
    accepted_on = date.fromisoformat(str(row("retrofit.acceptance.v1")["accepted_on"]))
    for day, outcome in ((accepted_on.replace(day=1), "refused"), (accepted_on, "granted")):
        monkeypatch.setattr(clock, "today", lambda day=day: day)
        if outcome == "refused":
            _decided(world)
        else:
            assert assess()["decided"] == [CLAIM]
        assert [each["outcome"] for each in decisions(world.store)] == [outcome]
    assert assess()["decided"] == []

"""A claim from dossier to decision, with its trace."""

import random
from dataclasses import replace
from datetime import date
from decimal import Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from kernel import canonical
from policy.decision import decide
from policy.verification.dossier import Dossier
from tests.policy.samples import ACCEPTED, CLAIM, DAY, LINE, OWN, PAID, PROJECT, RED, with_line


def test_a_right_claim_of_a_sample_enterprise_earns_half() -> None:
    decision = decide(CLAIM, DAY)
    assert (decision.outcome, str(decision.amount_cny)) == ("granted", "50000.00")
    assert (str(decision.rate), str(decision.eligible_cny)) == ("0.50", "100000.00")
    assert decision.lines[0].outcome == "allowed"


def test_an_expansion_enterprise_earns_a_quarter() -> None:
    decision = decide(replace(CLAIM, project=replace(PROJECT, batch="expansion")), DAY)
    assert (decision.outcome, str(decision.amount_cny)) == ("granted", "25000.00")


def test_a_line_names_every_row_that_it_rests_on() -> None:
    rows = {PROJECT.origin, LINE.origin, OWN.origin, PAID.origin, CLAIM.ledger[0].origin}
    assert set(decide(CLAIM, DAY).lines[0].evidence) == rows


def test_what_is_unpaid_and_what_is_refused_earns_nothing() -> None:
    claim = with_line(CLAIM, 2, "60000.00")
    claim = replace(
        claim, payments=(replace(PAID, paid_amount=Decimal("56500.00")), *claim.payments[1:])
    )
    refused = replace(claim.lines[1], category="other")
    decision = decide(replace(claim, lines=(claim.lines[0], refused)), DAY)
    assert [str(line.allowed_cny) for line in decision.lines] == ["50000.00", "0.00"]
    assert str(decision.amount_cny) == "25000.00"


def test_the_ceiling_and_then_the_other_levels_cut_the_grant() -> None:
    claim = with_line(CLAIM, 2, "600000.00")
    capped = decide(claim, DAY)
    assert str(capped.amount_cny) == "300000.00"
    assert "R13" in {each.rule for each in capped.verdicts if each.outcome == "reduced"}
    other = replace(PROJECT, other_awards_cny=Decimal("300000.00"))
    refused = decide(replace(claim, project=other), DAY)
    assert (refused.outcome, str(refused.amount_cny)) == ("refused", "0.00")


def test_a_line_for_a_person_leaves_the_sure_lines_as_a_provisional_amount() -> None:
    claim = with_line(CLAIM, 2, "60000.00")
    foreign = replace(claim.invoices[1], currency="USD")
    decision = decide(replace(claim, invoices=(claim.invoices[0], foreign)), DAY)
    assert decision.outcome == "needs_person"
    assert decision.is_amount_provisional
    assert str(decision.amount_cny) == "50000.00"


def test_a_refusal_needs_no_person_on_the_same_line() -> None:
    foreign = replace(PAID, currency="USD")
    claim = replace(CLAIM, payments=(foreign,), invoices=(OWN, RED))
    assert decide(claim, DAY).outcome == "refused"


def test_a_claim_with_no_books_of_the_factory_is_refused() -> None:
    decision = decide(replace(CLAIM, invoices=(), payments=(), ledger=()), DAY)
    assert (decision.outcome, str(decision.amount_cny)) == ("refused", "0.00")
    refusing = {each.rule for each in decision.lines[0].verdicts if each.outcome == "refused"}
    assert refusing == {"R04", "R15"}


def test_acceptance_counts_from_its_day() -> None:
    assert decide(CLAIM, ACCEPTED.accepted_on).outcome == "granted"
    assert decide(CLAIM, date(2024, 7, 19)).outcome == "refused"


def test_without_acceptance_or_with_another_projects_nothing_is_granted() -> None:
    refused = replace(ACCEPTED, outcome="refused")
    anothers = replace(ACCEPTED, project_id="AJ-2")
    for acceptance in (None, refused, anothers):
        assert decide(replace(CLAIM, acceptance=acceptance), DAY).outcome == "refused"


def test_a_decision_made_years_later_uses_the_law_of_the_acceptance() -> None:
    assert decide(CLAIM, date(2034, 1, 1)).amount_cny == decide(CLAIM, DAY).amount_cny


def test_what_was_accepted_outside_the_clauses_days_is_refused_with_the_reason() -> None:
    for day in (date(2022, 12, 31), date(2026, 1, 1)):
        decision = decide(
            replace(CLAIM, acceptance=replace(ACCEPTED, accepted_on=day)), date(2026, 6, 1)
        )
        assert decision.outcome == "refused"
        assert str(day) in decision.verdicts[0].reason_zh


def test_an_unknown_programme_is_refused_and_stops_nobody() -> None:
    decision = decide(replace(CLAIM, project=replace(PROJECT, programme="../x")), DAY)
    assert decision.outcome == "refused"
    assert decision.ruling is None


def test_a_claim_without_lines_is_refused() -> None:
    assert decide(replace(CLAIM, lines=()), DAY).outcome == "refused"


def test_the_trace_names_facts_and_parameters_in_the_order_read() -> None:
    ruling = decide(CLAIM, DAY).ruling
    assert ruling is not None
    assert [(read.kind, read.name, read.value) for read in ruling.trace] == [
        ("fact", "is_above_scale", "true"),
        ("fact", "is_accepted", "true"),
        ("fact", "is_first_batch_sample", "true"),
        ("parameter", "first_batch_share", "0.50"),
        ("parameter", "ceiling_cny", "300000"),
        ("fact", "granted_before_cny", "0.00"),
        ("fact", "eligible_spend_cny", "100000.00"),
    ]
    assert ruling.article == "十条（九）"


def test_each_provisional_parameter_says_what_the_other_reading_pays() -> None:
    project = replace(
        PROJECT, contract_signed_on=date(2023, 7, 29), other_awards_cny=Decimal("10000.00")
    )
    listed = {
        each.name: [(other.value, str(other.amount_cny)) for other in each.others]
        for each in decide(replace(CLAIM, project=project), DAY).provisional
    }
    assert listed == {
        "window_first": [("2023-07-30", "0.00")],
        "window_end": [],
        "amount_basis": [("gross", "56500.00")],
        "booking_accounts": [],
        "list_year_of": [("filing", "0.00")],
        "other_awards": [("subtract", "40000.00")],
    }


def test_the_decision_is_canonical_json_with_money_as_text() -> None:
    decision = decide(CLAIM, DAY)
    told = canonical.loads(decision.as_json())
    assert isinstance(told, dict)
    assert told["amount_cny"] == "50000.00"
    assert told["lines"][0]["evidence"] == list(decision.lines[0].evidence)
    assert told["ruling"]["clause"] == "anji_2023.a09_nplusx_retrofit"
    assert canonical.dumps(told) == decision.as_json()
    assert decision.digest == canonical.digest(decision.as_json())


def test_the_callers_decimal_context_changes_nothing() -> None:
    expected = decide(CLAIM, DAY).digest
    with localcontext() as context:
        context.prec = 4
        assert decide(CLAIM, DAY).digest == expected


def _shuffled(claim: Dossier, seed: int) -> Dossier:
    order = random.Random(seed)  # noqa: S311  # an order, not a secret
    return replace(
        claim,
        lines=tuple(order.sample(claim.lines, len(claim.lines))),
        invoices=tuple(order.sample(claim.invoices, len(claim.invoices))),
        payments=tuple(order.sample(claim.payments, len(claim.payments))),
        ledger=tuple(order.sample(claim.ledger, len(claim.ledger))),
        listings=tuple(order.sample(claim.listings, len(claim.listings))),
        other_uses=tuple(order.sample(claim.other_uses, len(claim.other_uses))),
    )


@given(seed=st.integers(0, 2**32))
def test_equal_facts_in_another_order_give_the_same_bytes(seed: int) -> None:
    claim = with_line(with_line(CLAIM, 2, "60000.00"), 10, "0.03")
    twice = replace(LINE, line_no=3, origin="line@t/0/1/3")
    claim = replace(
        claim,
        lines=(*claim.lines, twice),
        payments=(*claim.payments, replace(PAID, origin="payment@t/0/1/2")),
        invoices=(*claim.invoices, RED),
        listings=(*claim.listings, replace(claim.listings[0], list_year=2023)),
        other_uses=tuple(
            replace(LINE, claim_id=f"CL-{each}", invoice_no=claim.lines[1].invoice_no)
            for each in range(4)
        ),
    )
    assert decide(_shuffled(claim, seed), DAY).as_json() == decide(claim, DAY).as_json()


AMOUNTS = st.decimals(min_value=Decimal("0.01"), max_value=Decimal(10**15), places=2)


@given(
    amount=AMOUNTS,
    batch=st.sampled_from(["first_sample", "expansion"]),
    before=st.decimals(min_value=0, max_value=400000, places=2),
    others=st.decimals(min_value=0, max_value=400000, places=2),
)
def test_more_eligible_spending_never_lowers_a_grant(
    amount: Decimal, batch: str, before: Decimal, others: Decimal
) -> None:
    project = replace(PROJECT, batch=batch, granted_before_cny=before, other_awards_cny=others)
    claim = replace(CLAIM, project=project)
    less, more = decide(claim, DAY), decide(with_line(claim, 2, str(amount)), DAY)
    assert less.amount_cny <= more.amount_cny <= Decimal(300000)
    assert more.amount_cny <= more.eligible_cny

"""Decides a claim: rules line by line, the clause over what is left, and why, to the fen."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal, localcontext
from enum import StrEnum
from functools import cache
from types import ModuleType

from kernel import canonical
from kernel.money import NOTHING, round_fen
from kernel.registry import modules_in
from policy import verification
from policy.engine import EXACT, Programme, Ruling, apply, programmes, ruling
from policy.lang import Case, Clause, Facts, Provisional, Read, provisional
from policy.verification.books import claimed
from policy.verification.dossier import Acceptance, ClaimLine, Dossier
from policy.verification.verdict import (
    Award,
    AwardRule,
    ClaimRule,
    LineRule,
    Outcome,
    Rule,
    Verdict,
)

# Every programme's retrofit clause bears this name after its article.
GRANT = "nplusx_retrofit"
_CLAUSE = Rule("clause")


class Result(StrEnum):
    """What becomes of a claim."""

    GRANTED = "granted"
    REFUSED = "refused"
    NEEDS_PERSON = "needs_person"


@dataclass(frozen=True, slots=True)
class LineDecision:
    """What becomes of a line, by which rules, on which rows."""

    claim_id: str
    line_no: int
    invoice_no: str
    invoice_line_no: int
    outcome: Outcome
    claimed_cny: Decimal
    allowed_cny: Decimal
    verdicts: tuple[Verdict, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a claim; `is_amount_provisional` while a person must still look at a line."""

    claim_id: str
    project_id: str
    enterprise_uscc: str
    programme: str
    decided_on: date
    law_of: date
    outcome: Result
    amount_cny: Decimal
    is_amount_provisional: bool
    rate: Decimal
    eligible_cny: Decimal
    verdicts: tuple[Verdict, ...]
    lines: tuple[LineDecision, ...]
    ruling: Ruling | None
    rule_trace: tuple[Read, ...]
    provisional: tuple[Provisional, ...]

    def as_json(self) -> bytes:
        """Write the decision so that equal decisions are equal bytes."""
        return canonical.dumps(asdict(self))

    @property
    def digest(self) -> str:
        """Name the decision by its bytes."""
        return canonical.digest(self.as_json())


def decide(dossier: Dossier, day: date) -> Decision:
    """Decide a claim on a day; the law is that of the day of acceptance."""
    law_of = dossier.acceptance.accepted_on if dossier.acceptance else day
    programme = programmes().get(dossier.project.programme)
    if programme is None:
        return _without_law(dossier, day, law_of, "没有这一政策", "there is no such programme")
    name = programme.clause_named(GRANT)
    wording = programme.wording_on(name, law_of)
    if wording is None:
        return _without_law(
            dossier, day, law_of, f"{law_of}不在条款有效期内", f"no clause is in force on {law_of}"
        )
    law = _Law(programme, name, wording, law_of)
    with localcontext(EXACT):
        return _decide(dossier, day, law)


@dataclass(frozen=True, slots=True)
class _Law:
    """The wording that applies, and the day of the parameters."""

    programme: Programme
    name: str
    wording: Clause
    day: date

    def case(self, facts: Facts, assumed: Mapping[str, str]) -> Case:
        return Case(facts, self.programme.parameters_of(self.name), self.day, assumed)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A claim judged under one reading of the law."""

    lines: tuple[LineDecision, ...]
    verdicts: tuple[Verdict, ...]
    eligible: Decimal
    rate: Decimal
    amount: Decimal
    granted: Decimal
    rules: Case
    clause: Case


def _decide(dossier: Dossier, day: date, law: _Law) -> Decision:
    def pays(assumed: Mapping[str, str]) -> Decimal:
        return _judge(dossier, day, law, assumed).amount

    judged = _judge(dossier, day, law, {})
    unconfirmed = provisional(judged.rules, pays), provisional(judged.clause, pays)
    asks = any(line.outcome == Outcome.NEEDS_PERSON for line in judged.lines) or any(
        verdict.outcome == Outcome.NEEDS_PERSON for verdict in judged.verdicts
    )
    paid = Result.GRANTED if judged.amount > 0 else Result.REFUSED
    return Decision(
        claim_id=dossier.claim_id,
        project_id=dossier.project.project_id,
        enterprise_uscc=dossier.project.enterprise_uscc,
        programme=law.programme.name,
        decided_on=day,
        law_of=law.day,
        outcome=Result.NEEDS_PERSON if asks else paid,
        amount_cny=judged.amount,
        is_amount_provisional=asks,
        rate=judged.rate,
        eligible_cny=judged.eligible,
        verdicts=judged.verdicts,
        lines=judged.lines,
        ruling=ruling(law.wording, judged.clause, judged.granted, unconfirmed[1]),
        rule_trace=judged.rules.trace,
        provisional=_by_name((*unconfirmed[0], *unconfirmed[1])),
    )


def _judge(dossier: Dossier, day: date, law: _Law, assumed: Mapping[str, str]) -> _Outcome:
    """Judge lines, apply the clause to what they leave, then judge what it grants."""
    rules = law.case({}, assumed)
    lines = tuple(_line(dossier, line, rules) for line in dossier.lines)
    eligible = round_fen(sum((line.allowed_cny for line in lines), NOTHING))
    claim_verdicts = tuple(rule(dossier, rules) for rule in _claim_rules())
    accepted = _accepted(dossier.acceptance, dossier, day)
    facts: Facts = {
        "is_above_scale": all(each.outcome == Outcome.ALLOWED for each in claim_verdicts),
        "is_accepted": accepted.outcome == Outcome.ALLOWED,
        "is_first_batch_sample": dossier.project.batch == "first_sample",
        "granted_before_cny": dossier.project.granted_before_cny,
        "eligible_spend_cny": eligible,
    }
    clause = law.case(facts, assumed)
    granted = apply(law.wording, clause)
    rate = _rate(clause)
    award = Award(round_fen(rate * eligible), granted)
    award_verdicts = tuple(rule(dossier, rules, award) for rule in _award_rules())
    return _Outcome(
        lines=lines,
        verdicts=(accepted, *claim_verdicts, *award_verdicts),
        eligible=eligible,
        rate=rate,
        amount=_left(granted, award_verdicts),
        granted=granted,
        rules=rules,
        clause=clause,
    )


def _line(dossier: Dossier, line: ClaimLine, case: Case) -> LineDecision:
    found = (rule(dossier, line, case) for rule in _line_rules())
    verdicts = tuple(verdict for verdict in found if verdict is not None)
    outcomes = {verdict.outcome for verdict in verdicts}
    # What is refused stays refused, whatever a person would find out.
    worst = next(
        each
        for each in (Outcome.REFUSED, Outcome.NEEDS_PERSON, Outcome.REDUCED, Outcome.ALLOWED)
        if each in outcomes
    )
    amount = round_fen(claimed(line, case))
    is_paid = worst in (Outcome.ALLOWED, Outcome.REDUCED)
    return LineDecision(
        claim_id=line.claim_id,
        line_no=line.line_no,
        invoice_no=line.invoice_no,
        invoice_line_no=line.invoice_line_no,
        outcome=worst,
        claimed_cny=amount,
        allowed_cny=_left(amount, verdicts) if is_paid else NOTHING,
        verdicts=verdicts,
        evidence=tuple(sorted({origin for verdict in verdicts for origin in verdict.origins})),
    )


def _left(amount: Decimal, verdicts: tuple[Verdict, ...]) -> Decimal:
    """Take from an amount what verdicts refuse or reduce."""
    if any(verdict.outcome == Outcome.REFUSED for verdict in verdicts):
        return NOTHING
    limits = (each.limit_cny for each in verdicts if each.limit_cny is not None)
    return round_fen(min((amount, *limits)))


def _accepted(acceptance: Acceptance | None, dossier: Dossier, day: date) -> Verdict:
    """Judge whether the project was accepted by the day of the decision."""
    rows = [dossier.project.origin, *([acceptance.origin] if acceptance else [])]
    if (
        acceptance is not None
        and acceptance.project_id == dossier.project.project_id
        and acceptance.outcome == "accepted"
        and acceptance.accepted_on <= day
    ):
        return _CLAUSE.allows("已通过验收", "accepted", rows)
    return _CLAUSE.refuses("未通过验收", "not accepted", rows)


def _rate(case: Case) -> Decimal:
    """Give the share that the clause read; it reads one, or none when it grants nothing."""
    shares = [Decimal(read.value) for read in case.trace if read.unit == "ratio"]
    return shares[0] if shares else NOTHING


def _without_law(dossier: Dossier, day: date, law_of: date, zh: str, en: str) -> Decision:
    """Refuse a claim to which no clause applies."""
    return Decision(
        claim_id=dossier.claim_id,
        project_id=dossier.project.project_id,
        enterprise_uscc=dossier.project.enterprise_uscc,
        programme=dossier.project.programme,
        decided_on=day,
        law_of=law_of,
        outcome=Result.REFUSED,
        amount_cny=NOTHING,
        is_amount_provisional=False,
        rate=NOTHING,
        eligible_cny=NOTHING,
        verdicts=(_CLAUSE.refuses(zh, en, [dossier.project.origin]),),
        lines=(),
        ruling=None,
        rule_trace=(),
        provisional=(),
    )


def _by_name(found: tuple[Provisional, ...]) -> tuple[Provisional, ...]:
    return tuple({each.name: each for each in found}.values())


@cache
def _rule_modules() -> tuple[ModuleType, ...]:
    """Find the rules: each file named after one is one."""
    return tuple(
        module for name, module in modules_in(verification).items() if hasattr(module, "RULE")
    )


@cache
def _line_rules() -> tuple[LineRule, ...]:
    return tuple(each.judge_line for each in _rule_modules() if hasattr(each, "judge_line"))


@cache
def _claim_rules() -> tuple[ClaimRule, ...]:
    return tuple(each.judge_claim for each in _rule_modules() if hasattr(each, "judge_claim"))


@cache
def _award_rules() -> tuple[AwardRule, ...]:
    return tuple(each.judge_award for each in _rule_modules() if hasattr(each, "judge_award"))

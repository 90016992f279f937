"""R06: of two uses of an invoice line the later loses."""

from dataclasses import replace

from policy.verification.r06_used_twice import judge_line
from tests.policy.samples import CLAIM, LINE, law, origin

SECOND = replace(LINE, line_no=2, origin=origin("line", 2))
ELSEWHERE = replace(LINE, origin=origin("line", 3))


def test_a_first_use_stands() -> None:
    assert judge_line(CLAIM, LINE, law()).outcome == "allowed"


def test_of_two_lines_of_a_claim_the_second_loses() -> None:
    claim = replace(CLAIM, lines=(LINE, SECOND))
    assert judge_line(claim, LINE, law()).outcome == "allowed"
    verdict = judge_line(claim, SECOND, law())
    assert verdict.outcome == "refused"
    assert verdict.origins == (LINE.origin, SECOND.origin)


def test_an_earlier_claim_wins_and_a_later_one_does_not() -> None:
    earlier, later = (replace(ELSEWHERE, claim_id=claim) for claim in ("CL-0", "CL-2"))
    assert judge_line(replace(CLAIM, other_uses=(earlier,)), LINE, law()).outcome == "refused"
    assert judge_line(replace(CLAIM, other_uses=(later,)), LINE, law()).outcome == "allowed"


def test_another_line_of_the_same_invoice_is_another_thing() -> None:
    other = replace(ELSEWHERE, claim_id="CL-0", invoice_line_no=2)
    assert judge_line(replace(CLAIM, other_uses=(other,)), LINE, law()).outcome == "allowed"


def test_one_line_number_twice_needs_a_person() -> None:
    claim = replace(CLAIM, lines=(LINE, ELSEWHERE))
    assert judge_line(claim, LINE, law()).outcome == "needs_person"
    assert judge_line(claim, ELSEWHERE, law()).outcome == "needs_person"

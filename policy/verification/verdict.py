"""What a rule says of a line or a claim, in both languages, and the rows that it rests on."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from kernel.money import round_fen
from policy.lang import Case
from policy.verification.dossier import ClaimLine, Dossier


class Outcome(StrEnum):
    """What becomes of a line."""

    ALLOWED = "allowed"
    REDUCED = "reduced"
    REFUSED = "refused"
    NEEDS_PERSON = "needs_person"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's answer; a reduction says how much is left."""

    rule: str
    outcome: Outcome
    reason_zh: str
    reason_en: str
    origins: tuple[str, ...]
    limit_cny: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Award:
    """What the clause's share of the spending is, and what the clause grants of it."""

    earned_cny: Decimal
    granted_cny: Decimal


class LineRule(Protocol):
    """Judges a line of a claim; nothing to look at is no verdict."""

    def __call__(self, dossier: Dossier, line: ClaimLine, case: Case, /) -> Verdict | None: ...


class ClaimRule(Protocol):
    """Judges a claim before its clause is applied."""

    def __call__(self, dossier: Dossier, case: Case, /) -> Verdict: ...


class AwardRule(Protocol):
    """Judges what a clause granted."""

    def __call__(self, dossier: Dossier, case: Case, award: Award, /) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """Says verdicts in the name of a rule."""

    id: str

    def allows(self, zh: str, en: str, origins: Iterable[str]) -> Verdict:
        """Find nothing against it."""
        return Verdict(self.id, Outcome.ALLOWED, zh, en, _each_once(origins))

    def refuses(self, zh: str, en: str, origins: Iterable[str]) -> Verdict:
        """Find that it must not be paid."""
        return Verdict(self.id, Outcome.REFUSED, zh, en, _each_once(origins))

    def asks(self, zh: str, en: str, origins: Iterable[str]) -> Verdict:
        """Find that a person must look at it."""
        return Verdict(self.id, Outcome.NEEDS_PERSON, zh, en, _each_once(origins))

    def reduces(self, limit_cny: Decimal, zh: str, en: str, origins: Iterable[str]) -> Verdict:
        """Find that no more than so much may be paid."""
        return Verdict(self.id, Outcome.REDUCED, zh, en, _each_once(origins), round_fen(limit_cny))


def _each_once(origins: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(origins)))

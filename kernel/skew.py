"""How far somebody else's clock is from ours, and how sure that is."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """How far another clock is ahead of ours, no more than so much beside the truth."""

    skew_seconds: float
    bound_seconds: float

    @classmethod
    def between(
        cls, asked: datetime, told: datetime, answered: datetime, step_seconds: float = 0
    ) -> "Clock":
        """Compare what somebody told with when it was asked and when its answer was there.

        A clock with steps shows how many of them are over.
        """
        half, step = (answered - asked) / 2, timedelta(seconds=step_seconds / 2)
        ahead = told + step - (asked + half)
        return cls(ahead.total_seconds(), (half + step).total_seconds())

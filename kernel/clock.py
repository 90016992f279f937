"""The one door to the time; everything else takes it as an argument."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]

# Days, months and policy dates of a Zhejiang county are reckoned here.
SHANGHAI = ZoneInfo("Asia/Shanghai")


def now() -> datetime:
    """Tell the instant, in UTC."""
    return datetime.now(UTC)


def today() -> date:
    """Tell the day in Shanghai."""
    return now().astimezone(SHANGHAI).date()


def monotonic() -> float:
    """Count seconds for measuring a span of work."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)

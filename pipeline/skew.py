"""How far the clocks of an agent's sources and of the county are from its own, with a bound."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from connectors.base import Connector
from kernel import clock
from kernel.errors import NplusxError
from kernel.ids import SourceId
from kernel.log import logger
from kernel.skew import Clock
from pipeline.sources import UNFORESEEN

# Beyond it a person is told: changes are found by the source's clock.
MOST_SKEW_SECONDS = 300.0
_EACH_SECONDS = 3600.0
# Whose clock it is that is no source's.
COUNTY = "county"


@dataclass(frozen=True, slots=True)
class Skew:
    """What a source's clock said against ours; or why it says nothing."""

    source: str
    # Ahead of ours; nothing where nobody can tell.
    seconds: float | None = None
    bound: float = 0.0
    reason: str = ""

    @property
    def text(self) -> str:
        """Say it as a person reads it."""
        if self.seconds is None:
            return self.reason
        return f"{self.seconds:+.3f} s against ours, ± {self.bound:.3f} s"

    @property
    def is_far(self) -> bool:
        """Tell whether the clocks are further apart than is good, for certain."""
        return abs(self.seconds or 0.0) - self.bound > MOST_SKEW_SECONDS


class Clocks:
    """Compares the clocks of sources that are connected, now and then, and the county's."""

    def __init__(self) -> None:
        self._found: dict[SourceId, tuple[float, Skew]] = {}
        self._county: Skew | None = None

    def compare(self, connectors: Mapping[SourceId, Connector[object]]) -> tuple[Skew, ...]:
        """Ask whom nobody asked for an hour; give what all said last."""
        return (*self._compared(connectors), *filter(None, [self._county]))

    def hear(self, county: Clock | None) -> None:
        """Take what the county's brokers or its gateway say when they take records."""
        if county is None:
            return
        skew = Skew(COUNTY, county.skew_seconds, county.bound_seconds)
        if skew.is_far and not (self._county and self._county.is_far):
            logger("agent").warning("clocks are apart", source=COUNTY, why=skew.text)
        self._county = skew

    def _compared(self, connectors: Mapping[SourceId, Connector[object]]) -> Iterator[Skew]:
        for source, connector in connectors.items():
            asked_at, skew = self._found.get(source, (0.0, None))
            if skew is None or clock.monotonic() - asked_at > _EACH_SECONDS:
                skew = _asked(source, connector)
                self._found[source] = clock.monotonic(), skew
                if skew.is_far:
                    logger("agent").warning("clocks are apart", source=source, why=skew.text)
            yield skew


def _asked(source: SourceId, connector: Connector[object]) -> Skew:
    try:
        told = connector.clock()
    except (NplusxError, *UNFORESEEN) as failed:
        # Its streams say what is wrong with the source.
        return Skew(source, reason=f"not told: {getattr(failed, 'what', type(failed).__name__)}")
    if isinstance(told, Clock):
        return Skew(source, told.skew_seconds, told.bound_seconds)
    return Skew(source, reason=told)

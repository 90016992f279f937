"""How fast a process grows: the slope of its memory over time, and how sure that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_MB = 1 << 20
_HOUR = 3600.0
# The first part still fills caches.
_WARM = 0.25
_LEAST = 8


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through the samples: how steep, how sure, and how much it comes to."""

    mb_per_hour: float
    error: float
    grown_mb: float
    samples: int

    def exceeds(self, mb_per_hour: float, mb: float) -> bool:
        """Tell whether it is surely steeper than this, and more than what allocators waver by."""
        return self.mb_per_hour - 3 * self.error > mb_per_hour and self.grown_mb > mb


def slope(samples: Sequence[tuple[float, int]]) -> Slope | None:
    """Lay a line through seconds and bytes by least squares; too few tell nothing."""
    kept = [each for each in samples if each[0] >= samples[-1][0] * _WARM]
    count = len(kept)
    if count < _LEAST:
        return None
    hours = [seconds / _HOUR for seconds, _ in kept]
    sizes = [size / _MB for _, size in kept]
    middle, level = sum(hours) / count, sum(sizes) / count
    spread = sum((each - middle) ** 2 for each in hours)
    if not spread:
        return None
    steep = sum((x - middle) * (y - level) for x, y in zip(hours, sizes, strict=True)) / spread
    left = sum((y - level - steep * (x - middle)) ** 2 for x, y in zip(hours, sizes, strict=True))
    error = math.sqrt(left / (count - 2) / spread)
    return Slope(steep, error, steep * (hours[-1] - hours[0]), count)

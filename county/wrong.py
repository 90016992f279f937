"""Which faults are asked for, and of which factory."""

from collections.abc import Mapping

from county import claims, faults, later
from county.dice import Dice
from county.world import Factory
from kernel.errors import ConfigurationError

NAMES = (*faults.FAULTS, *later.DRIFTS, *claims.FAULTS)
_ANY = "any"


def parse(text: str) -> dict[str, int]:
    """Read faults as a person writes them: `name`, `name=times`, either with `@factory`."""
    found: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        asked, _, place = part.partition("@")
        name, _, times = asked.partition("=")
        is_placed = place.isdecimal() or place == _ANY or "@" not in part
        if not (name in NAMES and is_placed and (times or "1").isdecimal()):
            raise ConfigurationError(
                f"{part!r} is no fault that can be planted.",
                where="--faults",
                cure=f"use name, name=times, name@factory or name@any of: {', '.join(NAMES)}.",
            )
        found[f"{name}@{place}" if place else name] = int(times or 1)
    return found


def of_factory(asked: Mapping[str, int], factory: Factory, count: int, seed: int) -> dict[str, int]:
    """Give the faults of one of so many factories: of all, its own, and drawn for it."""
    mine: dict[str, int] = {}
    for each, times in asked.items():
        name, _, place = each.partition("@")
        if place == _ANY:
            place = str(Dice(seed, f"faults/{name}").number(1, count))
        if not place or int(place) == factory.number:
            mine[name] = mine.get(name, 0) + times
    return mine

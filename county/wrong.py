"""Which faults are asked for, and of which factory."""

from collections.abc import Iterator, Mapping, Sequence

from county import claims, faults, later, sources
from county.dice import Dice
from county.world import Factory, factories
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


def of_factory(
    asked: Mapping[str, int], factory: Factory, county: Sequence[Factory], seed: int
) -> dict[str, int]:
    """Give the faults of a county's factory that it can have: of all, its own, and drawn for it."""
    mine: dict[str, int] = {}
    for each, times in asked.items():
        name, _, place = each.partition("@")
        if place == _ANY:
            able = [other.number for other in county if _can_have(other, name)]
            place = str(Dice(seed, f"faults/{name}").one_of(able)) if able else "0"
        if (not place or int(place) == factory.number) and _can_have(factory, name):
            mine[name] = mine.get(name, 0) + times
    return mine


def idle(asked: Mapping[str, int], county: Sequence[Factory], seed: int) -> Iterator[str]:
    """Tell which faults nobody of whom they are asked can have, and who could."""
    for each, times in asked.items():
        if not any(of_factory({each: times}, factory, county, seed) for factory in county):
            name = each.partition("@")[0]
            # Whatever a factory can have comes again within so many.
            many = factories(24, sources.SYSTEMS, sources.WIRES)
            able = [str(other.number) for other in many if _can_have(other, name)]
            yield f"{each} is planted nowhere; factories {', '.join(able[:5])}, … could have it"


def _can_have(factory: Factory, name: str) -> bool:
    if name in faults.FAULTS:
        return not sources.plantable(factory).isdisjoint(faults.FAULTS[name].contracts)
    if name in later.DRIFTS:
        return later.can_change(factory)
    # The first one's claim is the story's, with what is wrong in it.
    return factory.number != 1 and (name != claims.RED or sources.knows_red(factory))

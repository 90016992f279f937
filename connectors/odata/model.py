"""What a service offers: entity sets, their columns, types and keys."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from kernel.errors import ConfigurationError

V2, V4 = 2, 4
# By these types the time of a change is told.
MOMENTS = ("Edm.DateTimeOffset", "Edm.DateTime", "Edm.Date")
_LIKELY = re.compile(r"(?i)(upd|modif|chang)")


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity set: what its rows hold."""

    name: str
    keys: tuple[str, ...]
    types: Mapping[str, str]
    # What may be without a value.
    nullable: frozenset[str]
    # What can be expanded.
    links: tuple[str, ...]
    # Whether the service says that it keeps tokens of changes.
    tracks: bool = False

    def require(self, columns: tuple[str, ...], where: str) -> None:
        """Complain of columns that the set does not have."""
        known = [*self.types, *self.links]
        for each in columns:
            if each not in known:
                near = ", ".join(get_close_matches(each, known, 3, 0.4)) or ", ".join(known[:5])
                raise ConfigurationError(
                    f"{self.name} has no property {each}.",
                    where=where,
                    cure=f"check that the preset fits the product's version; there is {near}.",
                )

    @property
    def likely(self) -> str:
        """Name the property that probably tells the last change."""
        moments = [name for name, kind in self.types.items() if kind in MOMENTS]
        return next((name for name in moments if _LIKELY.search(name)), "")


@dataclass(frozen=True, slots=True)
class Service:
    """A service's version and its entity sets."""

    version: int
    entities: Mapping[str, Entity]

    def find(self, name: str, where: str) -> Entity:
        """Give an entity set, or say which there are."""
        if name in self.entities:
            return self.entities[name]
        near = get_close_matches(name, self.entities, 3, 0.4) or [*self.entities][:5]
        raise ConfigurationError(
            f"The source has no entity set {name}.",
            where=where,
            cure=f"let its administrator publish it, or name another: {', '.join(near) or 'none'}.",
        )

"""Where the systems of a served county are, as agents are told."""

from collections.abc import Mapping
from dataclasses import dataclass

# The number of no factory: what offices report comes with the county's own agent.
OFFICES = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """A system of a factory, as the factory's own agent file names it."""

    factory: int
    uscc: str
    name: str
    region: str
    industry: str
    source: Mapping[str, object]
    # At least so many rows come of what machines tell; of books, as many as the truth has.
    rows: Mapping[str, int]

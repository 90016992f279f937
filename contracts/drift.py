"""What a body holds that its contract does not promise, or spells in another type that fits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest

import pyarrow as pa

from contracts.conform import OP, is_safe
from contracts.model import Contract
from contracts.schema import arrow_type

# A name is a sender's choice; so much of it tells which column is meant.
_LONGEST = 100
# A sender may invent names without end; nobody reads more of them than so many.
MOST = 100
# Any value may be spelt as a text.
_TEXTS = (pa.string(), pa.large_string())


@dataclass(frozen=True, slots=True, order=True)
class Drift:
    """A column that came otherwise than promised; one that nobody promised lacks the promise."""

    column: str
    given: str
    promised: str = ""


def in_table(table: pa.Table, contract: Contract) -> frozenset[Drift]:
    """Compare the columns of an Arrow body with those promised; an empty one says nothing."""
    promised = {each.name: arrow_type(each) for each in contract.properties}
    found: set[Drift] = set()
    for field, column in zip(table.schema, table.columns, strict=True):
        if field.name == OP or column.null_count == len(column):
            continue
        wanted = promised.get(field.name)
        if wanted is None:
            found.add(_drift(field.name, str(field.type)))
        # Of what is not safe no value lands.
        elif field.type not in {wanted, *_TEXTS} and is_safe(field.type, wanted):
            found.add(_drift(field.name, str(field.type), str(wanted)))
    return frozenset(found)


def in_json(spare: Iterable[Mapping[str, object]], told: frozenset[Drift]) -> frozenset[Drift]:
    """Add what JSON rows hold beside the columns that are known; its types are but spellings."""
    names = {name for row in spare for name, value in row.items() if value is not None}
    found = told.union(_drift(name, "json") for name in nsmallest(MOST, names))
    return frozenset(nsmallest(MOST, found))


def _drift(column: str, given: str, promised: str = "") -> Drift:
    return Drift(column[:_LONGEST], given[:_LONGEST], promised)

"""The rows that landed though a soft promise is broken: how many of each, and a few of them."""

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from contracts.loader import find
from contracts.schema import WARNINGS
from pipeline import wiring
from pipeline.settings import Settings, read_settings

_SHOWN = 20
_PLACE = ("topic", "partition", "offset", "row")


@dataclass(slots=True)
class Annotated:
    """Rows by warning and enterprise, and the first of them: place, key, codes."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    rows: list[tuple[str, str, str]] = field(default_factory=list)


def annotated(contract_id: str, settings: Settings | None = None) -> Annotated:
    """Read a contract's landed rows that bear a warning."""
    contract, found = find(contract_id), Annotated()
    store = wiring.store(settings or read_settings())
    if not store.exists(contract.table):
        return found
    landed = store.open(contract.table).dataset()
    if WARNINGS not in landed.schema.names:
        return found
    names = [*contract.key, "_enterprise", *(f"_{each}" for each in _PLACE), WARNINGS]
    for batch in landed.to_batches(columns=names, filter=pc.field(WARNINGS).is_valid()):
        for row in pa.Table.from_batches([batch]).to_pylist():
            found.counts.update(
                (code, str(row["_enterprise"])) for code in row[WARNINGS].split(",")
            )
            if len(found.rows) < _SHOWN:
                place = "/".join(str(row[f"_{each}"]) for each in _PLACE)
                key = "/".join(str(row[name]) for name in contract.key)
                found.rows.append((place, key, row[WARNINGS]))
    return found

"""One record, one decision: which rows of quarantine and signed records count."""

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.store import TableStore

LANDING = "landing__"


def decided(store: TableStore) -> frozenset[str]:
    """Name the attempts that a landing commit stands behind; rows of others do not exist."""
    return frozenset(
        str(commit.facts["attempt"])
        for name in store.names()
        if name.startswith(LANDING)
        for commit in store.open(name).commits()
        if "attempt" in commit.facts
    )


def visible(
    store: TableStore, name: str, schema: pa.Schema, where: pc.Expression | None = None
) -> pa.Table:
    """Read columns of a table written under attempts, without those that came to nothing.

    What `where` leaves out is not read at all, as far as files and their parts can tell.
    """
    if not store.exists(name):
        return schema.empty_table()
    attempts = pa.array(sorted(decided(store)), pa.string())
    named = pc.field("attempt").isin(attempts)
    if where is not None:
        named &= where
    return store.open(name).dataset().to_table(schema.names, filter=named).cast(schema)

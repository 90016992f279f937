"""The one long table of metrics: each value with how it came about."""

from collections.abc import Sequence
from contextlib import suppress

import pyarrow as pa

from contracts.schema import INSTANT
from kernel import canonical
from warehouse.rebuild import newest_facts
from warehouse.store import ConflictError, TableStore
from warehouse.tables import SqlTable

TABLE = "metric"
_RETRIES = 5
SCHEMA = pa.schema(
    [
        ("metric", pa.string()),
        ("class", pa.string()),
        ("subject_kind", pa.string()),
        ("subject", pa.string()),
        ("period", pa.string()),
        ("value", pa.decimal128(38, 10)),
        ("unit", pa.string()),
        ("as_of", INSTANT),
        ("versions", pa.string()),
    ]
)


def gather(store: TableStore, tables: Sequence[SqlTable]) -> int:
    """Put the rows of every metric into the long table; unchanged inputs leave it as it is."""
    for _ in range(_RETRIES):
        # Another run may gather in the same moment: then look again whether it is current.
        with suppress(ConflictError):
            return _gather(store, tables)
    return _gather(store, tables)


def _gather(store: TableStore, tables: Sequence[SqlTable]) -> int:
    store.create(TABLE, SCHEMA)
    handle = store.open(TABLE)
    reads = {each.name: store.open(each.name).version for each in tables}
    if newest_facts(handle).get("reads") == reads:
        return handle.version
    parts = [_long(store, each) for each in tables]
    rows = pa.concat_tables([SCHEMA.empty_table(), *parts])
    return handle.replace(rows, {"reads": reads, "rows": rows.num_rows})


def _long(store: TableStore, metric: SqlTable) -> pa.Table:
    handle = store.open(metric.name)
    facts = newest_facts(handle)
    rows = handle.dataset().to_table(["subject", "period", "value"])
    rows = rows.sort_by([("subject", "ascending"), ("period", "ascending")])
    as_of = pa.array([facts.get("as_of") or None], pa.string()).cast(INSTANT)[0]
    same = {
        "metric": metric.name.removeprefix("metric__"),
        "class": metric.metric_class,
        "subject_kind": metric.subject_kind,
        "unit": metric.unit,
        "versions": canonical.dumps(facts.get("reads", {})).decode(),
    }
    columns = {
        **{name: pa.repeat(pa.scalar(text, pa.string()), len(rows)) for name, text in same.items()},
        "as_of": pa.repeat(as_of, len(rows)),
        "subject": rows["subject"],
        "period": rows["period"],
        "value": rows["value"],
    }
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)

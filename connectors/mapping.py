"""A preset's SQL over one Arrow table: source columns become contract columns."""

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from connectors.base import StreamPlan
from connectors.engine import session
from kernel.errors import ConfigurationError

_INSTANT = pa.timestamp("us", tz="UTC")
_OP, _UPSERT = "_op", "upsert"


def map_rows(rows: pa.Table, plan: StreamPlan[object], zone: str) -> pa.Table:
    """Run the plan's mapping over the table `rows`; it can reach no file and no network.

    There is always a column `_op`: what to do with a row.
    """
    if _OP not in rows.column_names:
        rows = rows.append_column(_OP, pa.repeat(_UPSERT, rows.num_rows))
    if rows.column(_OP).type not in (pa.string(), pa.large_string(), pa.null()):
        raise ConfigurationError(
            f"The source has a column {_OP} of its own, which is our name for what to do.",
            where=f"preset stream {plan.contract}",
            cure="rename it in the preset's query with `as`.",
        )
    done = pc.fill_null(rows.column(_OP).cast(pa.string()), _UPSERT)
    rows = rows.set_column(rows.column_names.index(_OP), _OP, done)
    try:
        # What a source calls a day or an hour is meant in its own zone.
        with session(zone) as connection:
            connection.register("rows", rows)
            mapped: pa.Table = connection.sql(plan.mapping).to_arrow_table()
    except duckdb.Error as wrong:
        raise ConfigurationError(
            f"The mapping does not fit the source's rows: {str(wrong).strip()}",
            where=f"preset stream {plan.contract}",
            cure="compare the preset's mapping with the columns that its query returns; write"
            " try_cast where one odd value must not stop all rows. What a log says of columns that"
            " had other names then is passed over by `nplusx agent backfill`, which reads the table"
            " as it is now.",
        ) from wrong
    return _in_utc(mapped)


def _in_utc(table: pa.Table) -> pa.Table:
    """Name the zone of instants as contracts do; the instants stay."""
    for at, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is not None:
            table = table.set_column(at, field.name, table.column(at).cast(_INSTANT))
    return table.combine_chunks()

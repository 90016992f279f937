"""What changed since a view of a table was kept: rows by their content, deletes by their keys."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine import session
from connectors.tables import quoted
from kernel.errors import DependencyUnavailableError

DIGEST = "nplusx_digest"
_SCHEMA = b"nplusx_schema"


def view_of(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Give what is kept of rows: their keys, a digest of each, and what columns they have."""
    view = rows.select(list(dict.fromkeys(keys)))
    view = view.append_column(DIGEST, pa.array(digests(rows), pa.string()))
    return view.replace_schema_metadata({_SCHEMA: rows.schema.serialize().to_pybytes()})


def digests(rows: pa.Table) -> list[str]:
    """Tell rows apart by all that they hold."""
    with session() as database:
        # A name that no column bears, or it would stand for the column.
        name = max(rows.column_names, key=len, default="") + "_row"
        database.register(name, _plain(rows))
        # By their text, so that another release of the engine says the same.
        whole = duckdb.ColumnExpression(name).cast("varchar")
        digest = duckdb.FunctionExpression("md5", whole).alias("digest")
        told = database.table(quoted(name)).select(digest).to_arrow_table()
    found: list[str] = told.column("digest").to_pylist()
    return found


def _plain(rows: pa.Table) -> pa.Table:
    """Write equal numbers equally: of which kind they are may change from page to page."""
    for at, field in enumerate(rows.schema):
        kind = field.type
        if any(each(kind) for each in (pa.types.is_decimal, pa.types.is_floating)):
            texts = rows.column(at).cast(pa.string())
            texts = pc.replace_substring_regex(texts, r"^(-?[0-9]+\.[0-9]*?)0+$", r"\1")
            rows = rows.set_column(at, field.name, pc.replace_substring_regex(texts, r"\.$", ""))
        elif pa.types.is_integer(kind):
            rows = rows.set_column(at, field.name, rows.column(at).cast(pa.string()))
    return rows


def changed(rows: pa.Table, view: pa.Table, known: pa.Table | None) -> pa.Table:
    """Give the rows that are not as they were."""
    if known is None:
        return rows
    same = pc.is_in(view.column(DIGEST), value_set=known.column(DIGEST).combine_chunks())
    return rows.filter(pc.invert(same))


def without(known: pa.Table, present: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Leave out of a view what another one has too, by keys."""
    names = list(dict.fromkeys(keys))
    with session() as database:
        here = database.from_arrow(known)
        there = database.from_arrow(present.select(names))
        same = " and ".join(
            f"here.{quoted(n)} is not distinct from there.{quoted(n)}" for n in names
        )
        lost: pa.Table = (
            here.set_alias("here").join(there.set_alias("there"), same, "anti").to_arrow_table()
        )
    return lost


def gone(
    known: pa.Table | None, present: pa.Table, keys: Sequence[str], where: str, cure: str
) -> list[pa.Table]:
    """Give deletes for the keys that were known and are no more, with the columns of rows."""
    if known is None:
        return []
    if not present.num_rows:
        # A source in maintenance looks so too.
        raise DependencyUnavailableError(
            f"The source has no rows, and had {known.num_rows}: nothing is deleted for that.",
            where=where,
            cure="wait until the source is filled again; if the rows are meant to be gone,"
            f" {cure}.",
        )
    found = _lost(known, present, keys)
    return [] if found is None else [found]


def _lost(known: pa.Table, present: pa.Table, keys: Sequence[str]) -> pa.Table | None:
    names = list(dict.fromkeys(keys))
    lost = without(known.select(names), present, names)
    if not lost.num_rows:
        return None
    lost = lost.group_by(names).aggregate([])
    schema = pa.ipc.read_schema(pa.py_buffer((known.schema.metadata or {})[_SCHEMA]))
    columns = {
        field.name: lost.column(field.name).cast(field.type)
        if field.name in names
        else pa.nulls(lost.num_rows, field.type)
        for field in schema
    }
    return pa.table({**columns, "_op": pa.repeat("delete", lost.num_rows)})

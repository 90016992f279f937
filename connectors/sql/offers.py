"""Drafts how a table may be read from what a database's catalogue says of it."""

import re
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from connectors.base import Offer

_MOMENT = re.compile(r"(?i)timestamp|datetime")
# The time of a change is called so or similar in every product seen.
_CHANGED = re.compile(r"(?i)upd|modif|chang|write|修改|更新")


def offer(
    table: str, columns: Mapping[str, str], keys: Sequence[str], dialect: sa.Dialect
) -> Offer:
    """Offer a table with its columns by name and type, and the columns of its primary key."""
    named: list[sa.ColumnClause[object]] = [sa.column(name) for name in columns]
    select = sa.select(*named).select_from(sa.table(table))
    moments = [name for name, kind in columns.items() if _MOMENT.search(kind)]
    how: dict[str, object] = {
        "query": " ".join(str(select.compile(dialect=dialect)).split()),
        "keys": list(keys) or list(columns)[:1],
    }
    if moments:
        how["updated"] = next(filter(_CHANGED.search, moments), moments[0])
    return Offer(table, dict(columns), how)

"""The queries of a stream: its rows behind a place, in the order of their last change."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from connectors.cursor import Place

Query = sa.Select[*tuple[object, ...]]
_Ordered = sa.ColumnElement[object] | sa.ColumnElement[str]
_KEY = "nplusx_key_{}"
# Where a text without a limit can be sorted, to make one of a text costs nothing.
_KEY_TEXT = sa.Unicode(255).with_variant(sa.Text(), "postgresql", "sqlite")


class _Exact(FunctionElement[str]):
    """A text that is equal to itself alone, where texts that differ by case or blanks are alike."""

    name = "exact"
    type = sa.String()
    inherit_cache = True


@compiles(_Exact)
def _as_it_is(element: _Exact, compiler: SQLCompiler, **options: object) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(_Exact, "mysql", "mariadb")
def _as_bytes(element: _Exact, compiler: SQLCompiler, **options: object) -> str:
    return f"cast({compiler.process(element.clauses, **options)} as binary)"


@compiles(_Exact, "mssql")
def _by_code(element: _Exact, compiler: SQLCompiler, **options: object) -> str:
    return f"({compiler.process(element.clauses, **options)}) collate Latin1_General_BIN2"


def key_names(keys: Sequence[str]) -> list[str]:
    """Name the columns that hold a row's keys as texts, which compare the same everywhere."""
    return [_KEY.format(at) for at in range(len(keys))]


def select_all(query: str, keys: Sequence[str]) -> Query:
    """Select a query's rows with their keys as texts."""
    named = [text.label(name) for text, name in zip(key_texts(keys), key_names(keys), strict=True)]
    return sa.select(sa.literal_column("source.*")).add_columns(*named).select_from(_source(query))


def _source(query: str) -> sa.TextClause:
    # A colon in the preset's query is the database's, never a parameter of ours.
    inner = query.strip().rstrip(";").replace(":", "\\:")
    # It may end in a comment.
    return sa.text(f"({inner}\n) as source")


def select_behind(query: str, updated: str, keys: Sequence[str], place: Place) -> Query:
    """Select the rows that have a time of change, or all where none tells that, behind a place."""
    order: list[_Ordered] = [*map(_Exact, key_texts(keys))]
    select = select_all(query, keys)
    if updated:
        order = [sa.column(updated), *order]
        select = select.where(sa.column(updated).is_not(None))
    select = select.order_by(*order)
    return select.where(_behind(order, place)) if place else select


def select_by_moment(query: str, updated: str, place: Place) -> Query:
    """Select what is behind a place in the order of change alone: an index gives it unsorted."""
    at: sa.ColumnElement[object] = sa.column(updated)
    select = select_all(query, ()).where(at.is_not(None)).order_by(at)
    if not place:
        return select
    return select.where(at >= place[0] if len(place) == 1 else at > place[0])


def select_undated(query: str, updated: str, keys: Sequence[str], place: Place) -> Query:
    """Select rows behind a place that have no time of change: the gate must see them too."""
    order = [_Exact(text) for text in key_texts(keys)]
    select = select_all(query, keys).where(sa.column(updated).is_(None)).order_by(*order)
    return select.where(_behind(order, place)) if place else select


def select_keys(query: str, keys: Sequence[str]) -> Query:
    """Select the keys of all rows, as they are."""
    named: list[sa.ColumnClause[object]] = [sa.column(name) for name in dict.fromkeys(keys)]
    return sa.select(*named).select_from(_source(query))


def key_texts(keys: Sequence[str]) -> "list[sa.ColumnElement[str]]":
    """Give keys as texts; nothing is an empty one."""
    return [sa.func.coalesce(sa.cast(sa.column(key), _KEY_TEXT), "") for key in keys]


def _behind(order: "Sequence[_Ordered]", place: Place) -> "sa.ColumnElement[bool]":
    """Compare places column by column: not every database compares tuples."""
    if len(place) < len(order):
        return order[0] >= place[0]
    if None in place:
        return order[0] > place[0]
    choices = []
    for at, (column, value) in enumerate(zip(order, place, strict=True)):
        same = [order[before] == place[before] for before in range(at)]
        choices.append(sa.and_(*same, column > value))
    # That the first part is not before lets a database use its index.
    return sa.and_(order[0] >= place[0], sa.or_(*choices))

"""Books as a product keeps them: one SQL file of the folder `shapes` for each product."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from contracts.loader import find
from contracts.schema import batch_schema
from county.books import Books
from county.world import Factory

FOLDER = Path(__file__).parent / "shapes"
# A comment of the form: table, its name, its columns as `create table` takes them.
_SECTION = re.compile(r"^-- table (\w+) (\(.*\))$", re.MULTILINE)
# Books as the shapes name them.
_BOOKS = re.compile(r"\b(erp|mes|srm)_([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a product, with its rows."""

    name: str
    columns: str
    rows: pa.Table


def as_arrow(books: Books) -> dict[str, pa.Table]:
    """Give the rows of books in their contracts' types, by contract."""
    return {name: _typed(name, rows) for name, rows in books.items()}


def _typed(name: str, rows: list[dict[str, object]]) -> pa.Table:
    fields = [each for each in batch_schema(find(name)) if not each.name.startswith("_")]
    return pa.table(
        {each.name: pa.array([r.get(each.name) for r in rows], each.type) for each in fields}
    )


def text_of(system: str) -> str:
    """Read how a product keeps books."""
    return (FOLDER / f"{system}.sql").read_text("utf-8")


@cache
def contracts_of(system: str) -> frozenset[str]:
    """Tell of which contracts a product has anything."""
    return frozenset(f"{area}.{name}.v1" for area, name in _BOOKS.findall(text_of(system)))


def tables(factory: Factory, system: str, books: Mapping[str, pa.Table]) -> Iterator[Table]:
    """Write books as one of the factory's products keeps them; equal books give equal tables."""
    _, *sections = _SECTION.split(text_of(system))
    with duckdb.connect() as database:
        database.execute("set TimeZone = 'UTC'")
        database.execute("create macro local(moment) as moment at time zone 'Asia/Shanghai'")
        database.execute("create macro eight(moment) as strftime(local(moment), '%Y%m%d')")
        owner = pa.table({"uscc": [factory.uscc], "name": [factory.name]})
        database.register("factory", owner)
        for name, rows in books.items():
            database.register(name.rpartition(".v")[0].replace(".", "_"), rows)
        for name, columns, select in zip(*[iter(sections)] * 3, strict=True):
            database.execute(f'create table "{name}" {columns}')
            database.sql(select).insert_into(f'"{name}"')
            # By its first columns: they are the key everywhere.
            table = database.table(f'"{name}"')
            rows = table.order("#1, #2").to_arrow_table()
            yield Table(name, columns, rows)

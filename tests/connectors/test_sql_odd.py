"""What a database may hold that no Arrow table can is told, or becomes text; nothing stops."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from connectors.base import ZONE
from connectors.check import check
from connectors.mapping import map_rows
from connectors.memory import Memory
from kernel.errors import ConfigurationError
from tests.connectors.databases import EARLY, PLAN, Database, keys
from tests.connectors.reading import read_all

pytestmark = pytest.mark.real_system

TYPED = "create table thing (id text, note text, changed {})"


def test_a_column_that_is_spelt_otherwise_is_named(database: Database) -> None:
    database.put("a", "x", EARLY)
    query = 'select id, note, changed as "Changed" from thing'
    if database.url.startswith("mysql"):
        query = query.replace('"', "`")
    connector = database.connector()
    for spelt in (
        replace(PLAN, how=replace(PLAN.how, query=query, updated="CHANGED")),
        replace(PLAN, how=replace(PLAN.how, keys=("ID",))),
        replace(PLAN, how=replace(PLAN.how, keys=("ID",), updated="")),
    ):
        (found,) = check(connector, [spelt], ZONE)
        assert found.problem
        # Where names are read whatever their case, a stream may be read as it is.
        with suppress(ConfigurationError):
            assert connector.read(spelt, None).rows is not None
    connector.close()


def test_a_time_that_gets_a_zone_on_the_way_goes_on(postgres, tmp_path: Path) -> None:
    url = postgres.fresh()
    with psycopg.connect(url) as db:
        db.execute(TYPED.format("timestamp"))
        db.execute("insert into thing values ('a', 'x', '2024-03-01 08:00')")
    connector = Database(url, lambda *_: None, tmp_path).connector()
    _, cursor = read_all(connector, PLAN)
    connector.close()
    with psycopg.connect(url) as db:
        db.execute("alter table thing alter changed type timestamptz")
        db.execute("insert into thing values ('b', 'x', '2024-03-01 09:00+08')")
    connector = Database(url, lambda *_: None, tmp_path).connector()
    rows, cursor = read_all(connector, PLAN, cursor)
    assert "b" in keys(rows)
    assert read_all(connector, PLAN, cursor)[0] == []
    connector.close()


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "date"])
def test_an_infinite_time_stops_nothing(postgres, tmp_path: Path, kind: str) -> None:
    url = postgres.fresh()
    with psycopg.connect(url) as db:
        db.execute(TYPED.format(kind))
        db.execute(
            "insert into thing values ('a', 'x', '-infinity'), ('b', 'x', '2024-03-01'),"
            " ('c', 'x', 'infinity')"
        )
    connector = Database(url, lambda *_: None, tmp_path).connector()
    plan = replace(PLAN, mapping="select id as key, note, _op from rows")
    rows, cursor = read_all(connector, plan)
    assert keys(rows) == ["a", "b", "c"]
    assert read_all(connector, plan, cursor)[0] == []
    with psycopg.connect(url) as db:
        db.execute("insert into thing values ('d', 'x', now())")
    assert keys(read_all(connector, plan, cursor)[0]) == ["d"]
    connector.close()


@pytest.mark.parametrize("updated", ["changed", ""])
def test_numbers_of_any_length_are_read_and_compared(database: Database, updated: str) -> None:
    database.put("a", "1" * 60, EARLY)
    cast = "cast(note as decimal(65, 5))"
    if database.url.startswith(("sqlite", "duckdb")):
        cast = "note"
    query = f"select id, {cast} as note, changed from thing"  # noqa: S608 - the test's own
    plan = replace(PLAN, how=replace(PLAN.how, query=query, updated=updated))
    plan = replace(plan, mapping="select id as key, cast(note as varchar) as note, _op from rows")
    connector = database.connector()
    rows, cursor = read_all(connector, plan)
    assert str(rows[0]["note"]).startswith("1" * 60)
    assert read_all(connector, plan, cursor)[0] == []
    connector.close()


def test_a_column_that_changes_its_type_is_kept_as_text(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    kinds = ([1, 2], ["x"], [datetime.fromisoformat("2024-01-01")])
    names = [memory.keep(pa.table({"id": each})) for each in kinds]
    found = memory.recall(names)
    assert found is not None
    assert found.column("id").to_pylist() == ["1", "2", "x", "2024-01-01 00:00:00"]


def test_a_column_of_the_sources_own_called_as_ours_is_named() -> None:
    rows = pa.table({"id": ["a"], "_op": [1]})
    with pytest.raises(ConfigurationError, match="_op"):
        map_rows(rows, replace(PLAN, mapping="select id as key, _op from rows"), ZONE)

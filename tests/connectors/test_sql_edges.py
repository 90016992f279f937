"""What is rare in a database must neither stop a stream nor send rows again and again."""

# ruff: noqa: S608 - the statements are the test's own

import sqlite3
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from kernel import clock
from kernel.ids import ContractId
from tests.connectors.databases import EARLY, PLAN, Database, keys
from tests.connectors.reading import read_all


def local_now() -> datetime:
    return clock.now().astimezone(clock.SHANGHAI).replace(tzinfo=None)


@pytest.mark.parametrize("page_rows", [8, 100])
def test_a_row_from_the_future_does_not_stop_a_crowded_stream(
    database: Database, monkeypatch: pytest.MonkeyPatch, page_rows: int
) -> None:
    monkeypatch.setattr("connectors.cursor.REMEMBERED", 10)
    monkeypatch.setattr("connectors.look_back.REMEMBERED", 10)
    moment = local_now() - timedelta(seconds=60)
    for n in range(30):
        database.put(f"{n:03}", "x", moment)
    database.put("future", "x", datetime.fromisoformat("2099-01-01"))
    connector = database.connector(page_rows=page_rows)
    rows, cursor = read_all(connector, PLAN)
    assert len(rows) == 31
    assert read_all(connector, PLAN, cursor)[0] == []
    database.put("new", "x", local_now())
    rows, cursor = read_all(connector, PLAN, cursor)
    assert keys(rows) == ["new"]
    assert read_all(connector, PLAN, cursor)[0] == []
    assert len(cursor) < 2000
    connector.close()


def test_more_rows_from_the_future_than_are_remembered_are_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.cursor.REMEMBERED", 10)
    monkeypatch.setattr("connectors.look_back.REMEMBERED", 10)
    database.put("now", "x", local_now())
    for n in range(30):
        database.put(f"{n:03}", "x", datetime.fromisoformat("2099-01-01"))
    connector = database.connector()
    page = connector.read(PLAN, None)
    assert "2099-01-01" in page.holes[0]
    assert "in the future" in page.holes[0]
    connector.close()


def test_rows_without_a_time_are_all_read_once_and_again_when_they_change(
    database: Database,
) -> None:
    for n in range(23):
        database.put(f"{n:03}", "x", None)
    connector = database.connector(page_rows=5)
    rows, cursor = read_all(connector, PLAN)
    assert sorted(map(str, keys(rows))) == [f"{n:03}" for n in range(23)]
    assert read_all(connector, PLAN, cursor)[0] == []
    database.put("017", "y", None)
    rows, cursor = read_all(connector, PLAN, cursor)
    assert [(row["key"], row["note"]) for row in rows] == [("017", "y")]
    # What is gone is not remembered for ever.
    database.remove("010")
    rows, cursor = read_all(connector, PLAN, cursor)
    assert rows == []
    database.put("010", "x", None)
    assert keys(read_all(connector, PLAN, cursor)[0]) == ["010"]
    connector.close()


def test_keys_that_differ_by_case_alone_are_two_rows(database: Database) -> None:
    for key in ("a", "A", "ä", "Ä", "a ", "b"):
        database.put(key, "x", EARLY)
    connector = database.connector(page_rows=1)
    rows, cursor = read_all(connector, PLAN)
    assert sorted(map(str, keys(rows))) == sorted(("a", "A", "ä", "Ä", "a ", "b"))
    assert read_all(connector, PLAN, cursor)[0] == []
    connector.close()


def test_keys_may_hold_what_sql_and_drivers_read_as_signs(database: Database) -> None:
    signs = {
        "%",
        "%%",
        "%s",
        "%(a)s",
        "\\",
        "\\\\",
        "\\'",
        "'",
        "''",
        '"',
        ":a",
        "?",
        "{}",
        "--",
        "`",
    }
    for n, each in enumerate(signs):
        database.put(each, each, EARLY + timedelta(hours=n // 4))
    connector = database.connector(page_rows=1)
    rows, cursor = read_all(connector, PLAN)
    assert sorted(map(str, keys(rows))) == sorted(signs)
    assert read_all(connector, PLAN, cursor)[0] == []
    connector.close()


def test_a_number_is_the_same_whatever_else_stands_in_its_page(tmp_path: Path) -> None:
    path = tmp_path / "source.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("create table thing (id text, size numeric, changed text)")
        db.execute(f"insert into thing values ('a', 1, '{EARLY}')")
    query = "select id, size, changed from thing"
    mapping = "select id as key, cast(size as double) as size, _op from rows"
    plan = replace(PLAN, how=replace(PLAN.how, query=query), mapping=mapping)
    compared = replace(plan, how=replace(plan.how, updated=""), contract=ContractId("test.all.v1"))
    connector = Database(f"sqlite:///{path}", lambda *_: None, tmp_path / "memory").connector()
    cursors = {each.contract: read_all(connector, each)[1] for each in (plan, compared)}
    with sqlite3.connect(path) as db:
        db.execute(f"insert into thing values ('b', 1.5, '{EARLY}')")
    for each in (plan, compared):
        assert keys(read_all(connector, each, cursors[each.contract])[0]) == ["b"]
    connector.close()


@pytest.mark.real_system
def test_our_own_slowness_is_not_the_sources(
    postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.sql.streams._STATEMENT_SECONDS", 1)
    url = postgres.fresh()
    with psycopg.connect(url) as db:
        db.execute("create table thing (id text, note text, changed timestamp)")
        db.execute(
            "insert into thing select n::text, repeat(md5(n::text), 40), timestamp '2024-03-01' "
            "+ n * interval '1 second' from generate_series(1, 30000) as n"
        )
    connector = Database(url, lambda *_: None, tmp_path).connector(page_rows=10_000)
    found: list[object] = []
    cursor, more = None, True
    while more:
        page = connector.read(PLAN, cursor)
        cursor, more = page.cursor, page.more
        if page.rows is not None:
            found += page.rows.column("id").to_pylist()
        time.sleep(1.2)
    assert found == [str(n) for n in range(1, 30001)]
    connector.close()


def test_a_source_is_asked_no_faster_than_allowed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(clock, "sleep", waited.append)
    monkeypatch.setattr(clock, "monotonic", lambda: 0.0)
    for n in range(23):
        database.put(f"{n:03}", "x", EARLY)
    connector = database.connector(page_rows=5, rows_per_second=10)
    rows, cursor = read_all(connector, PLAN)
    assert len(rows) == 23
    # Not after the last: nothing is asked then.
    assert waited == [0.5] * 4
    assert read_all(connector, PLAN, cursor)[0] == []
    connector.close()


def test_an_agent_that_starts_anew_after_each_page_reads_every_row_once(
    database: Database,
) -> None:
    # A few in each moment, then many more than a page holds, then a few again.
    moments = [*range(7), *[7] * 30, *[8] * 3, *range(9, 14)]
    for n, at in enumerate(moments):
        database.put(f"{n:03}", "x", EARLY + timedelta(hours=at))
    found: list[object] = []
    cursor, more = None, True
    while more:
        connector = database.connector(page_rows=4)
        page = connector.read(PLAN, cursor)
        connector.close()
        cursor, more = page.cursor, page.more
        if page.rows is not None:
            found += page.rows.column("id").to_pylist()
    assert sorted(map(str, found)) == [f"{n:03}" for n in range(len(moments))]


@pytest.mark.real_system
@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_a_page_of_long_texts_has_fewer_rows(request: pytest.FixtureRequest, server: str) -> None:
    database: Database = request.getfixturevalue(f"{server}_database")
    for n in range(12):
        # Some share a moment, and are told apart by their keys.
        database.put(f"{n:02}", "x" * 5_000_000, EARLY + timedelta(hours=n // 4))
    connector = database.connector()
    plan = replace(PLAN, mapping="select id as key, length(note) as note, _op from rows")
    found, cursor, more = [], None, True
    while more:
        page = connector.read(plan, cursor)
        cursor, more = page.cursor, page.more
        if page.rows is not None:
            assert page.rows.nbytes < 25 << 20
            found += page.rows.column("id").to_pylist()
    assert sorted(map(str, found)) == [f"{n:02}" for n in range(12)]
    connector.close()

"""The sql connector reads everything once, again when it changed, and says what is wrong."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import psycopg
import pytest
import sqlalchemy as sa

from connectors.base import ZONE
from connectors.check import Finding, check
from connectors.kinds.sql import SqlConnector, SqlStream
from connectors.sql.duck import DuckDatabase
from connectors.sql.query import select_all
from connectors.sql.streams import NATIVE_ERRORS
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from tests.connectors.databases import EARLY, HOW, PLAN, Database, keys, source
from tests.connectors.reading import read_all


def test_pages_give_every_row_once_in_order_of_change(database: Database) -> None:
    for n in range(23):
        # Several share a moment, so that a page ends among them.
        database.put(f"{n:03}", "x", EARLY + timedelta(hours=n // 4))
    connector = database.connector(page_rows=5)
    rows, cursor = read_all(connector, PLAN)
    assert keys(rows) == [f"{n:03}" for n in range(23)]
    assert read_all(connector, PLAN, cursor)[0] == []
    connector.close()


def test_instants_are_meant_in_the_zone_of_the_source(database: Database) -> None:
    database.put("a", "x", EARLY)
    connector = database.connector()
    (row,) = read_all(connector, PLAN)[0]
    assert row["at"] == datetime(2024, 3, 1, 0, 0, tzinfo=UTC)
    assert row["_op"] == "upsert"
    connector.close()


def test_more_rows_at_one_moment_than_a_page_holds(database: Database) -> None:
    for n in range(30):
        database.put(f"{n:03}", "x", EARLY)
    connector = database.connector(page_rows=4)
    assert len(read_all(connector, PLAN)[0]) == 30
    connector.close()


def test_a_changed_row_comes_again_and_its_neighbours_do_not(database: Database) -> None:
    for n in range(6):
        database.put(str(n), "first", EARLY + timedelta(seconds=n))
    connector = database.connector(page_rows=3)
    _, cursor = read_all(connector, PLAN)
    database.put("2", "second", EARLY + timedelta(seconds=9))
    rows, cursor = read_all(connector, PLAN, cursor)
    assert [(row["key"], row["note"]) for row in rows] == [("2", "second")]
    # Changed without a new time, still within the look-back: the content tells.
    database.put("5", "silently", EARLY + timedelta(seconds=5))
    rows, _ = read_all(connector, PLAN, cursor)
    assert [(row["key"], row["note"]) for row in rows] == [("5", "silently")]
    connector.close()


def test_a_late_row_within_the_look_back_is_found(database: Database) -> None:
    database.put("a", "x", EARLY)
    database.put("b", "x", EARLY + timedelta(seconds=200))
    connector = database.connector(lookback_seconds=300)
    _, cursor = read_all(connector, PLAN)
    database.put("late", "x", EARLY + timedelta(seconds=10))
    assert keys(read_all(connector, PLAN, cursor)[0]) == ["late"]
    connector.close()


def test_a_row_from_the_future_does_not_hide_the_present(database: Database) -> None:
    database.put("future", "x", datetime.fromisoformat("2099-01-01"))
    connector = database.connector()
    rows, cursor = read_all(connector, PLAN)
    assert keys(rows) == ["future"]
    now = clock.now().astimezone(clock.SHANGHAI).replace(tzinfo=None)
    database.put("now", "x", now)
    rows, cursor = read_all(connector, PLAN, cursor)
    assert keys(rows) == ["now"]
    assert read_all(connector, PLAN, cursor)[0] == []
    connector.close()


def test_nulls_in_key_and_time_reach_the_gate_once(database: Database) -> None:
    database.put(None, "no key", EARLY)
    database.put("a", "x", EARLY)
    database.put("b", "no time", None)
    connector = database.connector(page_rows=1)
    rows, cursor = read_all(connector, PLAN)
    assert sorted(str(row["note"]) for row in rows) == ["no key", "no time", "x"]
    assert read_all(connector, PLAN, cursor)[0] == []
    connector.close()


def test_a_crowded_look_back_is_closed_instead_of_remembered(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.cursor.REMEMBERED", 10)
    for n in range(30):
        database.put(f"{n:03}", "x", EARLY)
    connector = database.connector(page_rows=8)
    rows, cursor = read_all(connector, PLAN)
    assert len(rows) == 30
    assert len(cursor) < 1000
    assert read_all(connector, PLAN, cursor)[0] == []
    database.put("zzz", "x", EARLY + timedelta(seconds=1))
    assert keys(read_all(connector, PLAN, cursor)[0]) == ["zzz"]
    connector.close()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("select id, note, changed from nowhere", "no such table"),
        ("select id, wrong, changed from thing", "no such column"),
        ("select id, note from thing", "no such column"),
        ("selekt id from thing", "syntax error|understand"),
        ("select id, note, changed from thing /* all", "understand"),
    ],
)
def test_a_preset_that_does_not_fit_says_so(database: Database, query: str, says: str) -> None:
    database.put("a", "x", EARLY)
    connector = database.connector()
    plan = replace(PLAN, how=replace(HOW, query=query))
    with pytest.raises(ConfigurationError, match=says):
        connector.read(plan, None)
    (finding,) = check(connector, [plan], ZONE)
    assert finding.problem
    connector.close()


def test_a_query_may_end_in_a_comment_or_a_semicolon(database: Database) -> None:
    database.put("a", "x", EARLY)
    connector = database.connector()
    for end in (";", " -- all of them", "\n-- all: of them\n"):
        plan = replace(PLAN, how=replace(HOW, query=f"{HOW.query}{end}"))
        assert keys(read_all(connector, plan)[0]) == ["a"]
        (finding,) = check(connector, [plan], ZONE)
        assert finding.problem == ""
    connector.close()


def test_a_mapping_that_does_not_fit_says_so(database: Database) -> None:
    database.put("a", "x", EARLY)
    connector = database.connector()
    for mapping in ("select nothing from rows", "select * from read_csv('/etc/hostname')"):
        with pytest.raises(ConfigurationError, match="mapping does not fit"):
            read_all(connector, replace(PLAN, mapping=mapping))
    connector.close()


def test_the_source_cannot_be_written(database: Database) -> None:
    database.put("a", "x", EARLY)
    connector = database.connector()
    if isinstance(connector._database, DuckDatabase):
        with pytest.raises(NATIVE_ERRORS, match="read-only"):
            connector._database._connected().execute("delete from thing")
    else:
        with (
            pytest.raises((sa.exc.SQLAlchemyError, psycopg.Error), match=r"(?i)read[- ]?only"),
            connector._database.engine.connect() as connection,
        ):
            connection.exec_driver_sql("delete from thing")
    if connector._database.is_native:
        harm = "with gone as (delete from thing returning *) select * from gone"
        asked = connector._database.stream(select_all(harm, ["id"]), 1)
        with pytest.raises(NATIVE_ERRORS):
            next(asked)
    assert len(read_all(connector, PLAN)[0]) == 1
    connector.close()


def test_a_check_names_the_columns_and_rows_without_time(database: Database) -> None:
    connector = database.connector()

    def found() -> Finding:
        (finding,) = check(connector, [PLAN], ZONE)
        return finding

    assert found().problem == ""
    database.put("a", "x", EARLY)
    assert found().columns == ("key", "note", "at", "_op")
    database.put("b", "x", None)
    assert "changed" in found().problem
    connector.close()


def test_what_is_discovered_can_be_read(database: Database) -> None:
    database.put("a", "x", EARLY)
    connector = database.connector()
    (offer,) = connector.discover()
    assert (offer.name, list(offer.columns)) == ("thing", ["id", "note", "changed"])
    how = SqlStream(str(offer.how["query"]), "changed", ("id",))
    assert offer.how["keys"] == ["id"]
    assert keys(read_all(connector, replace(PLAN, how=how))[0]) == ["a"]
    connector.close()


def test_a_cursor_that_is_not_ours_is_refused(database: Database) -> None:
    connector = database.connector()
    for text in ("{}", "[]", '{"place": [["at", "x"]], "fresh": true, "newest": null, "seen": {}}'):
        with pytest.raises(ConfigurationError, match="cursor"):
            connector.read(PLAN, text)
    connector.close()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    connector = SqlConnector(source(f"sqlite:///{tmp_path / 'none.sqlite'}"))
    with pytest.raises(DependencyUnavailableError, match=r"none\.sqlite"):
        connector.read(PLAN, None)
    connector.close()


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="dialect"):
        SqlConnector(source("somewhere"))
    with pytest.raises(ConfigurationError, match="driver"):
        SqlConnector(source("abacus://host/db"))


@pytest.mark.real_system
class TestPostgres:
    """What only a server can refuse."""

    def test_a_silent_host_is_named_without_the_password(self) -> None:
        connector = SqlConnector(source("postgresql://u:hush@127.0.0.1:9/db"))
        with pytest.raises(DependencyUnavailableError, match=r"127\.0\.0\.1:9") as caught:
            connector.read(PLAN, None)
        assert "hush" not in str(caught.value)
        connector.close()

    def test_a_wrong_password_user_or_database_is_named(self, postgres) -> None:
        url = postgres.fresh()
        with psycopg.connect(url) as db:
            db.execute("create table thing (id text, note text, changed timestamp)")
            db.execute("create role reader login password 'sesame'")
        for wrong, says in (
            (url.replace("owner:", "nobody:"), "user or the password"),
            (url + "x", "no such database"),
            (url.replace("owner:", "reader:"), "does not let this user read"),
        ):
            connector = SqlConnector(source(wrong))
            with pytest.raises(ConfigurationError, match=says):
                connector.read(PLAN, None)
            connector.close()

    @pytest.mark.parametrize("twice", ["id", "note"])
    def test_two_columns_of_one_name_are_refused(self, postgres_database, twice: str) -> None:
        postgres_database.put("a", "x", EARLY)
        connector = postgres_database.connector()
        query = f"select id, note, changed, note as {twice} from thing"  # noqa: S608 - ours
        with pytest.raises(ConfigurationError, match="two columns one name"):
            connector.read(replace(PLAN, how=replace(HOW, query=query)), None)
        connector.close()

    def test_zoned_times_and_odd_types_are_read(self, postgres) -> None:
        url = postgres.fresh()
        with psycopg.connect(url) as db:
            db.execute(
                "create table thing"
                "(id int, note uuid, changed timestamptz, size numeric, raw bytea)"
            )
            db.execute(
                "insert into thing values (1, '00000000-0000-0000-0000-000000000001', "
                "'2024-03-01 08:00+08', 'NaN', 'x'), (2, null, '2024-03-01 09:00+08', 1.5, null)"
            )
        mapping = (
            "select cast(id as varchar) as key, note, size, cast(changed as timestamptz) as at, "
            "cast(changed as date) as day from rows"
        )
        plan = replace(PLAN, how=replace(HOW, query="select * from thing"), mapping=mapping)
        connector = SqlConnector(source(url))
        rows, cursor = read_all(connector, plan)
        assert rows[0]["at"] == datetime(2024, 3, 1, tzinfo=UTC)
        assert str(rows[0]["day"]) == "2024-03-01"
        assert [row["size"] for row in rows] == ["NaN", "1.5"]
        assert rows[0]["note"] == "00000000-0000-0000-0000-000000000001"
        assert read_all(connector, plan, cursor)[0] == []
        connector.close()


def test_a_file_that_another_program_writes_to_is_read_later(tmp_path: Path) -> None:
    path = tmp_path / "source.duckdb"
    told = "import duckdb, sys; db = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", told, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        connector = SqlConnector(source(f"duckdb:///{path}"))
        with pytest.raises(DependencyUnavailableError, match="Another program writes"):
            connector.read(PLAN, None)
        writer.communicate(b"\n")
    with duckdb.connect(path) as db:
        db.execute(
            "create table thing as select 'a' as id, 'x' as note, timestamp '2024-03-01' as changed"
        )
    assert keys(read_all(connector, PLAN)[0]) == ["a"]
    connector.close()

"""What only PostgreSQL's log has: slots, publications, identities, values that are not told."""

# ruff: noqa: S608 - the statements are the test's own

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from connectors.base import ZONE, Source
from connectors.cdc import postgres as kind
from connectors.check import check
from connectors.kinds.cdc import CdcConnector, CdcSource
from connectors.kinds.sql import SqlConnector, SqlSource, SqlStream
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import SourceId
from tests.connectors.logged import PLAN, Logged, follow, postgres_table, said
from tests.connectors.reading import read_all

pytestmark = pytest.mark.real_system
TYPES = {
    "flag": "boolean", "small": "smallint", "whole": "integer", "big": "bigint", "single": "real",
    "double": "double precision", "exact": "numeric(12, 3)", "open": "numeric",
    "code": "char(6)", "name": "varchar(9)", "text": "text", "raw": "bytea", "day": "date",
    "at": "timestamp", "at_ms": "timestamp(3)", "zoned": "timestamptz", "hour": "time",
    "unique_id": "uuid", "doc": "json", "docb": "jsonb", "own": "mood", "range": "domain_int",
}  # fmt: skip
VALUES = (
    "true, -3, 2147483647, -9223372036854775808, 1.1, 0.1, 1.5, 12345678901234567890.123, 'ab', "
    "'名', E'a\\nb\\t\\\\', '\\xff00', '2024-02-29', '2024-03-01 08:00', "
    "'2024-03-01 08:00:00.123', '2024-03-01 08:00:00.5+02', '23:59:59.999999', "
    "'00000000-0000-0000-0000-000000000001', '{\"a\": [1]}', '{\"a\": [1]}', 'glad', 7"
)


@pytest.fixture
def table(postgres) -> Logged:
    return postgres_table(postgres)


def slots(table: Logged) -> list[str]:
    with psycopg.connect(table.url) as db:
        found = db.execute(
            "select slot_name from pg_replication_slots where database = current_database()"
        )
        return [str(each[0]) for each in found.fetchall()]


def test_values_have_the_types_and_the_content_that_kind_sql_reads(
    table: Logged, tmp_path: Path
) -> None:
    columns = ", ".join(f'"{name}" {kind}' for name, kind in TYPES.items())
    table.run(
        "create type mood as enum ('glad', 'sad')", "create domain domain_int as integer",
        f"create table wide (id int primary key, {columns})",
        "alter publication nplusx add table wide",
        f"insert into wide values (1, {VALUES})", "insert into wide (id) values (2)",
    )  # fmt: skip
    plan = replace(PLAN, how=replace(PLAN.how, table="wide"), mapping="select * from rows")
    connector = table.connector()
    pages, cursor = [], None
    for _ in range(3):
        pages.append(connector.read(plan, cursor))
        cursor = pages[-1].cursor
    (first,) = [each.rows for each in pages if each.rows is not None]
    _, cursor = read_all(connector, plan, cursor)
    table.run(f"insert into wide values (3, {VALUES})", "insert into wide (id) values (4)")
    told = connector.read(plan, cursor).rows
    sql = SqlConnector(Source(SourceId("s"), "none", SqlSource(table.url), memory=tmp_path))
    how = SqlStream("select * from wide where id < 3", "", ("id",))
    same = sql.read(replace(plan, how=how), None).rows
    assert told is not None
    told = told.drop_columns(["_op"])
    for found in (first, told):
        assert found.schema.remove_metadata() == same.schema.remove_metadata()
    assert [{**row, "id": 0} for row in told.to_pylist()] == [
        {**row, "id": 0} for row in first.to_pylist()
    ]
    assert first.to_pylist() == same.to_pylist()
    connector.close()
    sql.close()


def test_what_a_value_cannot_be_in_its_type_stays_text(table: Logged) -> None:
    table.run(
        "create table odd (id int primary key, exact numeric(6, 2), at timestamp, many int[])",
        "alter publication nplusx add table odd",
    )
    plan = replace(PLAN, how=replace(PLAN.how, table="odd"), mapping="select * from rows")
    connector = table.connector()
    _, cursor = read_all(connector, plan)
    table.run("insert into odd values (1, 'NaN', 'infinity', '{1,2}')")
    (row,), _ = read_all(connector, plan, cursor)
    assert (row["exact"], row["at"], row["many"]) == ("NaN", "infinity", "{1,2}")
    connector.close()


@pytest.mark.parametrize("identity", ["default", "full"])
def test_a_large_value_that_did_not_change_is_no_null(table: Logged, identity: str) -> None:
    table.run(
        "alter table thing add column large text",
        "alter table thing alter large set storage external",
        f"alter table thing replica identity {identity}",
        "insert into thing values (1, 'x', repeat('长', 100000))",
        "insert into thing values (2, 'x', repeat('长', 100000))",
    )  # fmt: skip
    plan = replace(PLAN, mapping="select id as key, note, length(large) as size, _op from rows")
    connector = table.connector()
    _, cursor = read_all(connector, plan)
    table.run(
        "update thing set note = 'y'", "update thing set note = 'z', id = 3 where id = 2",
        "delete from thing where id = 1",
    )  # fmt: skip
    rows, _ = read_all(connector, plan, cursor)
    upserts = [(row["key"], row["note"], row["size"]) for row in rows if row["_op"] == "upsert"]
    assert upserts[-1] == (3, "z", 100000)
    assert {size for _, _, size in upserts} == {100000}
    assert [row["key"] for row in rows if row["_op"] == "delete"] == [2, 1]
    connector.close()


def test_a_row_that_is_gone_before_it_is_read_again_leaves_nothing_behind(table: Logged) -> None:
    table.run(
        "alter table thing add column large text",
        "alter table thing alter large set storage external",
        "insert into thing select n, 'x', repeat('长', 100000) from generate_series(1, 2) as n",
    )
    connector = table.connector(page_rows=2)
    _, cursor = read_all(connector, PLAN)
    with table.transaction() as run:
        run("update thing set id = 5 where id = 1")
        run("update thing set note = 'y' where id = 2")
        run("insert into thing values (6, 'z', ''), (7, 'z', '')")
    page = connector.read(PLAN, cursor)
    assert page.rows is not None
    done = page.rows.select(["id", "note", "_op"]).to_pylist()
    connector.close()
    # Gone when the transaction is read again: what was given of it is still told apart.
    table.run("delete from thing where id in (2, 5)")
    connector = table.connector(page_rows=2)
    rows, _ = read_all(connector, PLAN, page.cursor)
    found = [*(tuple(row.values()) for row in done), *said(rows)]
    assert [each for each in found if each[0] in (1, 6, 7)] == [
        (1, None, "delete"), (6, "z", "upsert"), (7, "z", "upsert"),
    ]  # fmt: skip
    last = {key: op for key, _, op in found}
    assert (last[2], last[5]) == ("delete", "delete")
    connector.close()


def test_what_is_missing_is_told_with_what_to_run(table: Logged) -> None:
    table.run(
        "create table bare (id int, note text)",
        "drop publication nplusx",
        "create role looker login password 'sesame'",
    )  # fmt: skip
    url = table.url.replace("owner:", "looker:")
    connector = follow(url)
    plan = replace(PLAN, how=replace(PLAN.how, table="bare"))
    (found,) = check(connector, [plan], ZONE)
    for text in (
        'alter role "looker" replication;', 'grant select on "public"."bare" to "looker";',
        'create publication "nplusx" for table "public"."bare";', "add primary key",
        'alter table "public"."bare" replica identity full;',
    ):  # fmt: skip
        assert text in found.cure
    # What the cure says is enough, but for the key.
    table.run(
        'alter role "looker" replication;', 'grant select on "public"."bare" to "looker";',
        'create publication "nplusx" for table "public"."bare";',
        'alter table "public"."bare" add primary key (id);', "insert into bare values (1, 'x')",
    )  # fmt: skip
    assert said(read_all(connector, plan)[0]) == [(1, "x", "upsert")]
    connector.close()


@pytest.mark.parametrize(
    "loss",
    [
        "select pg_drop_replication_slot('{slot}')",
        "select pg_replication_slot_advance('{slot}', pg_current_wal_lsn())",
        "alter publication nplusx drop table thing; alter publication nplusx add table thing",
        (
            "drop table thing; create table thing (id int primary key, note text);"
            "alter publication nplusx add table thing"
        ),
    ],
)
def test_a_lost_log_is_a_hole_and_the_table_is_read_anew(table: Logged, loss: str) -> None:
    table.fill(1, 2)
    connector = table.connector()
    _, cursor = read_all(connector, PLAN)
    table.fill(3, 3)
    (slot,) = slots(table)
    table.run(loss.format(slot=slot))
    table.fill(4, 4)
    page = connector.read(PLAN, cursor)
    assert "cannot be read on from 20" in page.holes[0]
    assert (page.rows, page.more) == (None, False)
    with psycopg.connect(table.url) as db:
        there = db.execute("select id, note, 'upsert' from thing order by id").fetchall()
    rows, cursor = read_all(connector, PLAN, page.cursor)
    assert said(rows) == there
    table.fill(5, 5)
    assert said(read_all(connector, PLAN, cursor)[0]) == [(5, "x", "upsert")]
    connector.close()


def test_a_slot_that_another_made_is_not_taken(table: Logged) -> None:
    first, second = table.connector(), table.connector()
    read_all(first, PLAN)
    with pytest.raises(ConfigurationError, match="has not made it"):
        second.read(PLAN, None)
    first.close()
    second.close()


def test_a_trial_leaves_no_slot(table: Logged) -> None:
    table.fill(1, 3)
    source = Source(SourceId("s"), "none", CdcSource(table.url), is_trial=True)
    connector = CdcConnector(source)
    assert len(read_all(connector, PLAN)[0]) == 3
    check(connector, [PLAN], ZONE)
    connector.close()
    assert slots(table) == []


def test_an_idle_table_lets_the_source_forget_its_log(table: Logged) -> None:
    connector = table.connector()
    _, cursor = read_all(connector, PLAN)
    table.run("create table other (id int)", "insert into other select generate_series(1, 10000)")

    def confirmed() -> str:
        with psycopg.connect(table.url) as db:
            (found,) = db.execute(
                "select confirmed_flush_lsn - '0/0'::pg_lsn from pg_replication_slots "
                "where slot_name = %s", [slots(table)[0]],
            ).fetchone()  # fmt: skip
            return found

    before = confirmed()
    rows, cursor = read_all(connector, PLAN, cursor)
    # Not before the cursor that was given back is safe: that is, when it is given again.
    rows, _ = read_all(connector, PLAN, cursor)
    assert rows == []
    assert confirmed() > before + 100_000
    connector.close()


def test_a_forgotten_transaction_does_not_hold_us_up_for_ever(
    table: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "_SLOT_SECONDS", 1)
    connector = table.connector()
    with psycopg.connect(table.url) as db:
        db.execute("insert into thing values (1, 'x')")
        page = connector.read(PLAN, None)
        with pytest.raises(DependencyUnavailableError, match="took too long"):
            connector.read(PLAN, page.cursor)
        db.commit()
    assert said(read_all(connector, PLAN, page.cursor)[0]) == [(1, "x", "upsert")]
    connector.close()


def test_another_session_on_the_slot_is_waited_for_and_then_named(
    table: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "_FREE_SECONDS", 1)
    first, second = table.connector(page_rows=1), table.connector(page_rows=1)
    _, cursor = read_all(first, PLAN)
    table.fill(1, 3)
    held = first.read(PLAN, cursor)
    assert held.more
    with pytest.raises(DependencyUnavailableError, match="is active for PID"):
        second.read(PLAN, cursor)
    # Who rests between rounds lets go of it.
    first.rest(PLAN)
    assert said(read_all(second, PLAN, cursor)[0]) == [(n, "x", "upsert") for n in (1, 2, 3)]
    first.close()
    second.close()


def test_a_transaction_that_was_begun_is_gone_on_with_wherever_the_source_was_meanwhile(
    table: Logged,
) -> None:
    """While the server decodes a long one it tells how far it is, which must not be confirmed."""
    table.run("insert into thing select n, 'x' from generate_series(1, 20000) as n")
    connector = table.connector(page_rows=8000)
    _, cursor = read_all(connector, PLAN)
    connector.close()
    table.run("update thing set note = 'y'")
    found, holes, more = [], list[str](), True
    while more:
        connector = table.connector(page_rows=8000)
        page = connector.read(PLAN, cursor)
        if page.more:
            # The page is safe, so its place is confirmed; the next one is lost.
            connector.read(PLAN, page.cursor)
        connector.close()
        if page.rows is not None:
            found += page.rows.column("id").to_pylist()
        holes += page.holes
        cursor, more = page.cursor, page.more
    assert holes == []
    assert sorted(found) == list(range(1, 20001))

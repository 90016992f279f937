"""What only MySQL's and MariaDB's log has: positions, settings, statements, odd values."""

# ruff: noqa: S608 - the statements are the test's own

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.base import ZONE, Source
from connectors.check import check
from connectors.kinds.sql import SqlConnector, SqlSource, SqlStream
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import SourceId
from tests.connectors.logged import PLAN, Logged, mysql_table, said
from tests.connectors.reading import read_all
from tests.servers import MariaServer, MySqlServer, running

pytestmark = pytest.mark.real_system
TYPES = {
    "tiny": "tinyint", "flag": "boolean", "big": "bigint unsigned", "single": "float",
    "twice": "double", "exact": "decimal(20, 3)", "code": "char(6)", "name": "varchar(9)",
    "text_": "mediumtext", "gbk": "varchar(9) character set gbk", "raw": "varbinary(9)",
    "fixed": "binary(4)", "large": "longblob", "day": "date", "at": "datetime(6)",
    "stamp": "timestamp(3) null", "hour": "time", "year_": "year", "kind": "enum('甲','乙')",
    "many": "set('a','b','c')", "bits": "bit(10)", "doc": "json",
}  # fmt: skip
VALUES = (
    "-3, true, 18446744073709551615, 3.14, 0.1, 1.5, 'ab ', '名', 'a\\nb\\\\', '家具', x'ff00', "
    "x'0a0b0000', x'00ff', '2024-02-29', '2024-03-01 08:00:00.123456', "
    "'2024-03-01 08:00:00.5', '-23:59:59', 2024, '乙', 'c,a', b'1000000001', '{\"a\": [1]}'"
)
# As MySQL, which keeps them in a form of its own, writes documents: MariaDB keeps their text.
DOCUMENTS = (
    r"""'{"bb": [1, {"a": null}], "a": true, "名称": "甲\\"\\n/é", "": ""}'""",
    "'[0, -3, 18446744073709551615, 1.0, 0.1, -12345.678]'",
    "json_object('n', cast(1.50 as decimal(9, 3)), 'at', timestamp '2024-03-01 08:00:00.5')",
    "'\"one\"'", "'7'", "'{}'", "'[]'", "null",
)  # fmt: skip


@pytest.fixture(params=["mariadb", "mysql"])
def table(request: pytest.FixtureRequest) -> Logged:
    return mysql_table(request.getfixturevalue(request.param))


def test_values_have_the_types_and_the_content_that_kind_sql_reads(
    table: Logged, tmp_path: Path
) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    with table.transaction() as run:
        run("set time_zone = '+08:00'")
        run(f"create table wide (id int primary key, {columns})")
        run(f"insert into wide values (1, {VALUES})")
    plan = replace(PLAN, how=replace(PLAN.how, table="wide"), mapping="select * from rows")
    connector = table.connector()
    pages, cursor = [], None
    for _ in range(3):
        pages.append(connector.read(plan, cursor))
        cursor = pages[-1].cursor
    (first,) = [each.rows for each in pages if each.rows is not None]
    _, cursor = read_all(connector, plan, cursor)
    with table.transaction() as run:
        run("set time_zone = '+08:00'")
        run(f"insert into wide values (3, {VALUES})")
    told = connector.read(plan, cursor).rows
    sql = SqlConnector(Source(SourceId("s"), "none", SqlSource(table.url), memory=tmp_path))
    how = SqlStream("select * from wide where id < 3", "", ("id",))
    same = sql.read(replace(plan, how=how), None).rows
    assert told is not None
    told = told.drop_columns(["_op"])
    (row,), (logged,), (asked,) = first.to_pylist(), told.to_pylist(), same.to_pylist()
    assert {**logged, "id": 1} == row == asked
    assert told.schema == first.schema == same.schema
    connector.close()
    sql.close()


def test_a_document_is_written_as_the_server_answers_it(mysql: MySqlServer) -> None:
    table = mysql_table(mysql)
    table.run("create table wide (id int primary key, doc json)")
    plan = replace(PLAN, how=replace(PLAN.how, table="wide"), mapping="select * from rows")
    connector = table.connector()
    _, cursor = read_all(connector, plan)
    for n, each in enumerate(DOCUMENTS):
        table.run(f"insert into wide values ({n}, {each})")
    logged, _ = read_all(connector, plan, cursor)
    asked, _ = read_all(table.connector(), plan)
    assert [row["doc"] for row in logged] == [row["doc"] for row in asked]
    connector.close()


@pytest.mark.parametrize(
    ("kind", "first"), [("decimal(65)", 10**59), ("bigint unsigned", 2**64 - 10)]
)
def test_keys_of_many_digits_are_told_apart_between_pages(
    table: Logged, kind: str, first: int
) -> None:
    table.run(
        f"create table long_ (id {kind} primary key)",
        *(f"insert into long_ values ({first + n})" for n in range(5)),
    )
    plan = replace(PLAN, how=replace(PLAN.how, table="long_"), mapping="select * from rows")
    connector = table.connector(page_rows=2)
    rows, _ = read_all(connector, plan)
    assert [int(str(row["id"])) for row in rows] == [first + n for n in range(5)]
    connector.close()


def test_what_python_cannot_hold_is_as_kind_sql_has_it(table: Logged) -> None:
    table.run("create table odd (id int primary key, day date, at datetime, many set('a'))")
    plan = replace(PLAN, how=replace(PLAN.how, table="odd"), mapping="select * from rows")
    connector = table.connector()
    _, cursor = read_all(connector, plan)
    with table.transaction() as run:
        run("set sql_mode = ''")
        run("insert into odd values (1, '0000-00-00', '0000-00-00', '')")
        run("insert into odd values (2, null, null, null)")
    rows, _ = read_all(connector, plan, cursor)
    again, _ = read_all(table.connector(), plan)
    assert [{**row, "_op": ""} for row in rows] == [{**row, "_op": ""} for row in again]
    assert rows[0]["many"] == ""
    connector.close()


def purged(server: MariaServer) -> None:
    """Let the server forget all but its newest log, as soon as it needs the old ones no more."""
    with server.root() as db, db.cursor() as asked:
        asked.execute("flush binary logs")
        asked.execute("show binary logs")
        *_, (last, _) = asked.fetchall()
        first = ""
        while first != last:
            asked.execute(f"purge binary logs to '{last}'")
            asked.execute("show binary logs")
            (first, _), *_ = asked.fetchall()


@pytest.mark.parametrize(
    "loss",
    [
        "purge", "reset master",
        "rename table thing to old; create table thing like old",
        "drop table thing; create table thing (id int primary key, note text)",
    ],
)  # fmt: skip
def test_a_lost_log_is_a_hole_and_the_table_is_read_anew(loss: str) -> None:
    # A server of its own: its log is everybody's.
    with running(MariaServer) as server:
        table = mysql_table(server)
        table.fill(1, 2)
        connector = table.connector()
        _, cursor = read_all(connector, PLAN)
        table.fill(3, 3)
        if loss == "purge":
            purged(server)
        else:
            table.run(*loss.split("; "))
        table.fill(4, 4)
        page = connector.read(PLAN, cursor)
        while page.more:
            page = connector.read(PLAN, page.cursor)
        assert "cannot be read on from 20" in page.holes[0]
        assert page.rows is None
        rows, cursor = read_all(connector, PLAN, page.cursor)
        with server.root() as db, db.cursor() as asked:
            asked.execute(f"use {table.url.rpartition('/')[2]}")
            asked.execute("select id, note, 'upsert' from thing")
            assert said(rows) == list(asked.fetchall())
        table.fill(5, 5)
        assert said(read_all(connector, PLAN, cursor)[0]) == [(5, "x", "upsert")]
        connector.close()


def test_a_server_that_stops_and_starts_in_the_middle_loses_nothing() -> None:
    with running(MariaServer) as server:
        table = mysql_table(server)
        table.fill(1, 7)
        connector = table.connector(page_rows=3)
        done, cursor = [], None
        for _ in range(4):
            page = connector.read(PLAN, cursor)
            cursor = page.cursor
            done += page.rows.to_pylist() if page.rows is not None else []
        server.stop()
        with pytest.raises(DependencyUnavailableError):
            connector.read(PLAN, cursor)
        server.start()
        table.fill(8, 9)
        table.run("delete from thing where id = 1")
        rows, cursor = read_all(connector, PLAN, cursor)
        # What was written between the two halves of the table is in the second, and in the log.
        assert [row["id"] for row in done] == [1, 2, 3, 4, 5, 6]
        assert said(rows) == [(n, "x", "upsert") for n in (7, 8, 9, 8, 9)] + [(1, None, "delete")]
        server.stop()
        server.start()
        table.fill(10, 10)
        assert said(read_all(connector, PLAN, cursor)[0]) == [(10, "x", "upsert")]
        connector.close()


def test_what_a_statement_wrote_is_a_hole(table: Logged) -> None:
    connector = table.connector()
    _, cursor = read_all(connector, PLAN)
    with table.transaction() as run:
        run("set session binlog_format = 'STATEMENT'")
        run("insert into thing values (1, 'x')")
    table.fill(2, 2)
    page = connector.read(PLAN, cursor)
    assert "by a statement" in page.holes[0]
    connector.close()


SETTINGS = [
    ("binlog_format", "MIXED", "ROW"), ("binlog_row_metadata", "MINIMAL", "FULL"),
    ("binlog_row_image", "MINIMAL", "FULL"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "name", "value", "back"),
    [*(("mysql", *each) for each in SETTINGS), *(("mariadb", *each) for each in SETTINGS),
     ("mariadb", "log_bin_compress", "ON", "OFF")],
    indirect=["table"],
)  # fmt: skip
def test_settings_that_hide_changes_are_told_with_the_cure(
    table: Logged, name: str, value: str, back: str
) -> None:
    table.run(f"set global {name} = '{value}'")
    connector = table.connector()
    try:
        (found,) = check(connector, [PLAN], ZONE)
    finally:
        table.run(f"set global {name} = '{back}'")
    assert name in found.problem
    assert f"set global {name} = '{back}'" in found.cure
    connector.close()


def test_grants_that_are_missing_are_told(table: Logged) -> None:
    name = table.url.rpartition("/")[2]
    looker = f"looker_{name}"
    table.run(
        f"create user {looker}@'%' identified by 'sesame'",
        f"grant select on {name}.* to {looker}@'%'",
    )
    connector = Logged(table.url.replace("owner:", f"{looker}:"), table.server).connector()
    for grant in ("replication client", "replication slave"):
        with pytest.raises(ConfigurationError, match="does not let this user read its log"):
            connector.sample(PLAN)
        table.run(f"grant {grant} on *.* to {looker}@'%'")
    connector.sample(PLAN)
    connector.close()

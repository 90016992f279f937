"""Servers that are stopped where they stand, for which their system still answers."""

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from connectors.base import ZONE, Connector, StreamPlan
from connectors.check import check
from kernel.errors import DependencyUnavailableError
from tests.connectors import sftp_server
from tests.connectors.databases import EARLY, PLAN, Database, keys
from tests.connectors.dropped import HEAD, Drop
from tests.connectors.dropped import PLAN as DROPPED
from tests.connectors.logged import PLAN as LOGGED
from tests.connectors.logged import postgres_table, said
from tests.connectors.machines.landing import agent_of, landed
from tests.connectors.reading import read_all
from tests.pipeline.world import World
from tests.servers import PASSWORD, PostgresServer, frozen

pytestmark = pytest.mark.real_system
Freeze = Callable[[], AbstractContextManager[None]]
_ROWS = 4000
METER = "mes.energy_reading.v1"
PRESET = """
title: {zh: 表, en: Meter}
kind: sql
proof: run in the tests
streams:
- contract: mes.energy_reading.v1
  version: 1.0.0
  query: select id, note, changed from thing
  updated: changed
  keys: [id]
  mapping: |
    select id as meter_code, 'electricity' as carrier, cast(changed as timestamptz) as read_at,
      'kwh' as energy_unit, try_cast(note as decimal(18, 4)) as used_qty,
      'machine' as record_source, cast(changed as timestamptz) as updated_at,
      'upsert' as _op from rows
"""
OURS = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"


@pytest.fixture
def freeze(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Freeze:
    monkeypatch.setattr("connectors.sql.patience.SILENT_SECONDS", 1)
    # The least that the library knows.
    monkeypatch.setattr("connectors.sql.streams._CONNECT_SECONDS", 2)
    return lambda: frozen(postgres._child._process)


def begun(connector: Connector[object], plan: StreamPlan[object]) -> tuple[list[object], str]:
    """Read the first rows."""
    page = connector.read(plan, None)
    while page.rows is None:
        page = connector.read(plan, page.cursor)
    return page.rows.column("id").to_pylist(), page.cursor


def interrupted(
    connector: Connector[object], plan: StreamPlan[object], cursor: str
) -> tuple[list[object], str, str]:
    """Read until that is impossible; tell why."""
    read: list[object] = []
    for _ in range(_ROWS):
        try:
            page = connector.read(plan, cursor)
        except DependencyUnavailableError as wrong:
            return read, cursor, str(wrong)
        cursor = page.cursor
        read += page.rows.column("id").to_pylist() if page.rows is not None else []
    raise AssertionError("it is read all the same")


def test_a_server_that_hangs_between_two_rounds_is_told_and_read_on(
    postgres_database: Database, freeze: Freeze
) -> None:
    postgres_database.put("a", "x", EARLY)
    connector = postgres_database.connector()
    _, cursor = read_all(connector, PLAN)
    postgres_database.put("b", "x", EARLY + timedelta(hours=1))
    with freeze():
        with pytest.raises(DependencyUnavailableError, match="its server hangs"):
            connector.read(PLAN, cursor)
        # No session is there any more, and none is to be had.
        with pytest.raises(DependencyUnavailableError):
            connector.read(PLAN, cursor)
    assert keys(read_all(connector, PLAN, cursor)[0]) == ["b"]
    connector.close()


def test_a_server_that_hangs_in_the_middle_of_an_answer_gives_each_row_once(
    postgres_database: Database, freeze: Freeze
) -> None:
    with psycopg.connect(postgres_database.url) as db:
        # More than is on its way at a time.
        db.execute(
            "insert into thing select lpad(n::text, 5, '0'), repeat('x', 10000),"
            " timestamp '2024-03-01' + n * interval '1 s' from generate_series(1, %s) as n",
            [_ROWS],
        )
    connector = postgres_database.connector(page_rows=500)
    read, cursor = begun(connector, PLAN)
    with freeze():
        more, cursor, why = interrupted(connector, PLAN, cursor)
    assert "its server hangs" in why
    read += more
    assert len(read) < _ROWS
    connector.rest(PLAN)
    read += keys(read_all(connector, PLAN, cursor)[0])
    assert [int(each) for each in read] == list(range(1, _ROWS + 1))
    # Who was waited for no more lets go by itself.
    with psycopg.connect(postgres_database.url, autocommit=True) as db:
        deadline = time.monotonic() + 30
        while db.execute(f"select count(*) {OURS}").fetchone() != (1,):
            assert time.monotonic() < deadline, "a session is left"
    connector.close()


def test_what_hangs_keeps_no_process_from_ending(
    postgres_database: Database, freeze: Freeze
) -> None:
    postgres_database.put("a", "x", EARLY)
    script = """
        import sys
        from connectors.sql import patience
        from connectors.sql.native import Native
        from connectors.sql.streams import native_address, parsed
        session = Native(native_address(parsed(sys.argv[1], "s"), "UTC"))
        print("ready", flush=True)
        sys.stdin.read()
        patience.SILENT_SECONDS = 1
        try:
            list(session.ask("select 1 as n"))
        except TimeoutError as late:
            print(late)
        session.close()
    """
    asking = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), postgres_database.url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert asking.stdout
    assert asking.stdout.readline() == "ready\n"
    with freeze():
        told, _ = asking.communicate(timeout=60)
    assert (told, asking.returncode) == ("no answer within 1 seconds\n", 0)


def test_a_catalogue_and_a_check_tell_that_a_server_hangs(
    postgres_database: Database, freeze: Freeze
) -> None:
    connector = postgres_database.connector()
    with psycopg.connect(postgres_database.url) as db:
        db.execute("create table other (id int)")
    offers = connector.discover()
    next(offers)
    with freeze():
        with pytest.raises(DependencyUnavailableError, match="its server hangs"):
            next(offers)
        for ask in (connector.clock, connector.product):
            with pytest.raises(DependencyUnavailableError):
                ask()
        (found,) = check(connector, [PLAN], ZONE)
        assert "its server hangs" in found.problem
    connector.close()


def test_a_log_that_hangs_between_pages_and_rounds_is_read_on(
    postgres: PostgresServer, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.cdc.postgres._SILENT_SECONDS", 2)
    table = postgres_table(postgres)
    table.fill(1, 5)
    connector = table.connector(page_rows=2)
    read, cursor = begun(connector, LOGGED)
    with freeze():
        more, cursor, why = interrupted(connector, LOGGED, cursor)
    assert "hangs" in why
    rows, cursor = read_all(connector, LOGGED, cursor)
    assert [*read, *more, *keys(rows)] == [1, 2, 3, 4, 5]
    table.fill(6, 7)
    with freeze(), pytest.raises(DependencyUnavailableError):
        connector.read(LOGGED, cursor)
    assert said(read_all(connector, LOGGED, cursor)[0]) == [(6, "x", "upsert"), (7, "x", "upsert")]
    connector.close()


def test_an_sftp_server_that_hangs_is_read_on(sftp: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.files.sftp._ANSWER_SECONDS", 1)
    assert sftp.server
    sftp.put("a.csv", f"{HEAD}1,甲\n")
    connector = sftp.connector()
    rows, cursor = read_all(connector, DROPPED)
    sftp.put("b.csv", f"{HEAD}2,乙\n")
    with frozen(sftp.server), pytest.raises(DependencyUnavailableError, match="no answer"):
        connector.read(DROPPED, cursor)
    # Nor is one waited for that hangs before it has opened the folder.
    stop = sftp.put(sftp_server.STOP, "")
    with pytest.raises(DependencyUnavailableError, match="cannot be read"):
        connector.read(DROPPED, cursor)
    stop.unlink()
    sftp.server.send_signal(signal.SIGCONT)
    more, _ = read_all(connector, DROPPED, cursor)
    assert keys([*rows, *more]) == ["1", "2"]
    connector.close()


def test_the_other_streams_of_an_agent_go_on_and_none_of_its_rows_is_lost(
    postgres_database: Database,
    sqlite_database: Database,
    freeze: Freeze,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "own.yaml").write_text(PRESET, "utf-8")
    monkeypatch.setenv("NPLUSX_HERE", PASSWORD)
    hung = postgres_database.url.replace(PASSWORD, "${NPLUSX_HERE}")
    sources = "".join(
        f"- {{id: {name}, preset: own.yaml, url: '{url}', lookback_seconds: 1}}\n"
        for name, url in (("hung", hung), ("well", sqlite_database.url))
    )
    world = World(tmp_path, monkeypatch)
    with closing(agent_of(world, tmp_path, sources, METER)) as agent:
        postgres_database.put("a", "1", EARLY)
        assert agent.round().is_clean
        for each in (postgres_database, sqlite_database):
            each.put("b", "2", EARLY + timedelta(hours=1))
        with freeze():
            for rows in (1, 0):
                one, other = agent.round().streams
                assert (one.rows_read, other.rows_read, other.error) == (0, rows, "")
                assert one.error
        assert [each.rows_read for each in agent.round().streams] == [1, 0]
    assert sorted(row["meter_code"] for row in landed(world, METER)) == ["a", "b", "b"]

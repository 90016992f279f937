"""A PostgreSQL that stops, starts, and keeps less of its log than we need."""

from collections.abc import Iterator

import psycopg
import pytest

from connectors.base import ZONE
from connectors.cdc import postgres as kind
from connectors.check import check
from kernel.errors import DependencyUnavailableError
from tests.connectors.logged import PLAN, Logged, postgres_table, said
from tests.connectors.reading import read_all
from tests.servers import PostgresServer, running

pytestmark = pytest.mark.real_system


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Start a server of the test's own."""
    with running(PostgresServer) as started:
        yield started


@pytest.fixture
def table(server: PostgresServer) -> Logged:
    return postgres_table(server)


@pytest.mark.parametrize("pages", [2, 3, 5])
def test_a_server_that_stops_and_starts_in_the_middle_loses_nothing(
    table: Logged, pages: int
) -> None:
    table.fill(1, 7)
    connector = table.connector(page_rows=3)
    done, cursor = [], None
    for _ in range(pages):
        page = connector.read(PLAN, cursor)
        cursor = page.cursor
        done += page.rows.column("id").to_pylist() if page.rows is not None else []
    table.server.stop()
    for _ in range(2):
        with pytest.raises(DependencyUnavailableError):
            connector.read(PLAN, cursor)
    table.server.start()
    rows, cursor = read_all(connector, PLAN, cursor)
    assert [*done, *(row["key"] for row in rows)] == [1, 2, 3, 4, 5, 6, 7]
    table.fill(8, 9)
    table.server.stop()
    table.server.start()
    assert said(read_all(connector, PLAN, cursor)[0]) == [(8, "x", "upsert"), (9, "x", "upsert")]
    connector.close()


def test_a_log_that_the_source_did_not_keep_is_a_hole(
    table: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.fill(1, 2)
    connector = table.connector()
    _, cursor = read_all(connector, PLAN)
    monkeypatch.setattr(kind, "_LAGGING_BYTES", 1 << 20)
    with psycopg.connect(table.url, autocommit=True) as db:
        db.execute("create table other (note text)")
        for _ in range(4):
            db.execute("insert into other select repeat('x', 1000) from generate_series(1, 4000)")
            db.execute("select pg_switch_wal()")
        (found,) = check(connector, [PLAN], ZONE)
        assert "MiB of its log" in found.problem
        assert "max_slot_wal_keep_size" in found.cure
        db.execute("alter system set max_slot_wal_keep_size = '1MB'")
        db.execute("select pg_reload_conf()")
        # The server heeds its new setting a little later.
        status = "select wal_status from pg_replication_slots"
        while db.execute(status).fetchone() != ("lost",):
            db.execute("checkpoint")
        db.execute("delete from thing where id = 1")
    page = connector.read(PLAN, cursor)
    assert "kept no more of its log" in page.holes[0]
    rows, cursor = read_all(connector, PLAN, page.cursor)
    assert said(rows) == [(2, "x", "upsert")]
    table.fill(3, 3)
    assert said(read_all(connector, PLAN, cursor)[0]) == [(3, "x", "upsert")]
    connector.close()

"""A session is kept between questions: it holds up nobody, and one that was cut off is replaced."""

from datetime import timedelta

import psycopg
import pytest

from connectors.base import Page
from tests.connectors.databases import EARLY, PLAN, Database
from tests.connectors.reading import read_all

pytestmark = pytest.mark.real_system
_OURS = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"


def sessions(database: Database) -> list[tuple[object, ...]]:
    with psycopg.connect(database.url) as db:
        return db.execute(f"select pid, state, xact_start {_OURS}").fetchall()


def test_a_quiet_source_sees_one_session_that_is_in_no_transaction(
    postgres_database: Database,
) -> None:
    postgres_database.put("a", "x", EARLY)
    connector = postgres_database.connector()
    _, cursor = read_all(connector, PLAN)
    (first,) = sessions(postgres_database)
    assert first[1:] == ("idle", None)
    assert read_all(connector, PLAN, cursor)[0] == []
    assert sessions(postgres_database) == [first]
    connector.close()
    assert sessions(postgres_database) == []


def test_a_session_that_was_cut_off_meanwhile_costs_no_round(postgres_database: Database) -> None:
    postgres_database.put("a", "x", EARLY)
    connector = postgres_database.connector()
    _, cursor = read_all(connector, PLAN)
    with psycopg.connect(postgres_database.url) as db:
        db.execute(f"select pg_terminate_backend(pid) {_OURS}")
    postgres_database.put("b", "x", EARLY + timedelta(hours=1))
    assert [row["key"] for row in read_all(connector, PLAN, cursor)[0]] == ["b"]
    connector.close()


def test_a_pass_that_is_left_in_the_middle_leaves_no_session(postgres_database: Database) -> None:
    for n in range(30):
        postgres_database.put(str(n), "x", EARLY + timedelta(hours=n))
    connector = postgres_database.connector(page_rows=10)
    page: Page = connector.read(PLAN, None)
    while not page.rows:
        page = connector.read(PLAN, page.cursor)
    assert page.more
    connector.rest(PLAN)
    assert [each for each in sessions(postgres_database) if each[1] != "idle"] == []
    assert len(read_all(connector, PLAN)[0]) == 30
    connector.close()

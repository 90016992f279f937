"""A session is kept between questions: it holds up nobody, and one that was cut off is replaced."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa

from connectors.base import Page
from connectors.sql.streams import native_address
from kernel.errors import ConfigurationError, DependencyUnavailableError
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


@contextmanager
def wire(port: int, falls_silent: threading.Event) -> Iterator[int]:
    """Lead to a port; what comes back is swallowed as soon as the wire falls silent."""

    def carry(here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while told := here.recv(1 << 16):
                if not falls_silent.is_set():
                    there.sendall(told)
            there.shutdown(socket.SHUT_WR)

    def lead(here: socket.socket) -> None:
        with here, socket.create_connection(("127.0.0.1", port)) as there:
            back = threading.Thread(target=carry, args=(there, here))
            back.start()
            carry(here, there)
            back.join()

    def serve() -> None:
        with suppress(OSError), ThreadPoolExecutor() as leading:
            while True:
                leading.submit(lead, door.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as door:
        serving = threading.Thread(target=serve)
        serving.start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)
        serving.join()


def test_a_wire_that_dies_without_a_word_is_told_and_read_on_when_it_is_back(
    mariadb_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.sql.patience.SILENT_SECONDS", 1)
    mariadb_database.put("a", "x", EARLY)
    url = sa.make_url(mariadb_database.url)
    falls_silent = threading.Event()
    with wire(url.port or 0, falls_silent) as port:
        mariadb_database.url = url.set(port=port).render_as_string(hide_password=False)
        connector = mariadb_database.connector()
        rows, cursor = read_all(connector, PLAN)
        assert len(rows) == 1
        mariadb_database.put("b", "x", EARLY + timedelta(hours=1))
        falls_silent.set()
        with pytest.raises(DependencyUnavailableError, match="timed out"):
            connector.read(PLAN, cursor)
        falls_silent.clear()
        assert [row["key"] for row in read_all(connector, PLAN, cursor)[0]] == ["b"]
        connector.close()


@contextmanager
def held(database: Database) -> Iterator[None]:
    """Hold the table, as a program does that changes it."""
    engine = sa.create_engine(sa.make_url(database.url))
    is_postgres = engine.dialect.name == "postgresql"
    with engine.connect() as holding:
        how = (
            "lock table thing in access exclusive mode"
            if is_postgres
            else "lock tables thing write"
        )
        holding.exec_driver_sql(how)
        yield
    engine.dispose()


@pytest.mark.parametrize("server", ["postgres_database", "mariadb_database"])
def test_a_table_that_somebody_holds_locked_is_told_soon(
    server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.sql.streams._LOCK_SECONDS", 1)
    database: Database = request.getfixturevalue(server)
    database.put("a", "x", EARLY)
    with closing(database.connector()) as connector:
        with held(database), pytest.raises(DependencyUnavailableError, match=r"table.*locked"):
            connector.read(PLAN, None)
        assert [row["key"] for row in read_all(connector, PLAN)[0]] == ["a"]


def test_a_database_that_mariadb_does_not_show_is_no_wrong_password(
    mariadb_database: Database,
) -> None:
    mariadb_database.url += "x"
    connector = mariadb_database.connector()
    with pytest.raises(ConfigurationError, match="no such database"):
        connector.read(PLAN, None)
    connector.close()


def test_postgresql_is_asked_whether_it_is_there(postgres_database: Database) -> None:
    address = native_address(sa.make_url(postgres_database.url), "Asia/Shanghai")
    with psycopg.connect(address) as db:
        wire = socket.socket(fileno=socket.dup(db.fileno()))
        quiet = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        unheard = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert (quiet <= 60, 0 < unheard <= 120_000) == (True, True)
        wire.close()

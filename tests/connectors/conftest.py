"""Real servers for the connector tests: databases, a service, folders behind SFTP."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import psycopg
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.files.forms import Login
from tests.broker import free_port, wait_until_owned
from tests.connectors import sftp_server
from tests.connectors.databases import Database
from tests.connectors.dropped import Drop
from tests.connectors.machines.odata_service import Service
from tests.connectors.machines.processes import Program, python
from tests.servers import MariaServer, MySqlServer, PostgresServer, needs_mysql, running


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start a server once."""
    with running(PostgresServer) as started:
        yield started


@pytest.fixture(autouse=True)
def _no_slots(request: pytest.FixtureRequest) -> Iterator[None]:
    """Drop what a test left of slots: they are of the whole cluster, and the next has its own."""
    yield
    if "postgres" not in request.fixturenames:
        return
    address = request.getfixturevalue("postgres").address("postgres")
    with psycopg.connect(address, autocommit=True) as connection:
        # Whoever died may still be thought of as alive.
        connection.execute(
            "select pg_terminate_backend(active_pid) from pg_replication_slots where active"
        )
        deadline = time.monotonic() + 30
        while connection.execute(
            "select 1 from pg_replication_slots where active limit 1"
        ).fetchone():
            assert time.monotonic() < deadline, "a slot stays in use"
            time.sleep(0.05)
        connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Database:
    """Make the table in a file."""
    path = tmp_path / "source 一.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("create table thing (id text, note text, changed text)")
    db.close()

    def run(key: str | None, note: str | None, changed: datetime | None) -> None:
        text = None if changed is None else changed.isoformat(" ", "microseconds")
        with sqlite3.connect(path) as db:
            db.execute("delete from thing where id = ?", (key,))
            if note is not None:
                db.execute("insert into thing values (?, ?, ?)", (key, note, text))
        db.close()

    return Database(f"sqlite:///{path}", run, tmp_path / "memory")


@pytest.fixture
def duckdb_database(tmp_path: Path) -> Database:
    """Make the table in a file of another kind."""
    path = tmp_path / "source 一.duckdb"
    with duckdb.connect(path) as db:
        db.execute("create table thing (id varchar, note varchar, changed timestamp)")

    def run(key: str | None, note: str | None, changed: datetime | None) -> None:
        with duckdb.connect(path) as db:
            db.execute("delete from thing where id = ?", [key])
            if note is not None:
                db.execute("insert into thing values (?, ?, ?)", [key, note, changed])

    return Database(f"duckdb:///{path}", run, tmp_path / "memory")


@pytest.fixture
def postgres_database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Make the table on a server."""
    url = request.getfixturevalue("postgres").fresh()
    with psycopg.connect(url) as db:
        db.execute("create table thing (id text, note text, changed timestamp)")

    def run(key: str | None, note: str | None, changed: datetime | None) -> None:
        with psycopg.connect(url) as db:
            db.execute("delete from thing where id = %s", (key,))
            if note is not None:
                db.execute("insert into thing values (%s, %s, %s)", (key, note, changed))

    return Database(url, run, tmp_path / "memory")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaServer]:
    """Start a server once."""
    with running(MariaServer) as started:
        yield started


@pytest.fixture(scope="session")
def mysql() -> Iterator[MySqlServer]:
    """Start a server once."""
    needs_mysql()
    with running(MySqlServer) as started:
        yield started


@pytest.fixture
def mariadb_database(mariadb: MariaServer, tmp_path: Path) -> Database:
    """Make the table on a server of another kind."""
    return _on(mariadb, tmp_path)


@pytest.fixture
def mysql_database(mysql: MySqlServer, tmp_path: Path) -> Database:
    """Make the table on the server that the other one grew out of."""
    return _on(mysql, tmp_path)


def _on(server: MariaServer, tmp_path: Path) -> Database:
    url = server.fresh()
    name = url.rpartition("/")[2]
    with server.root() as db, db.cursor() as cursor:
        cursor.execute(f"create table {name}.thing (id text, note longtext, changed datetime(6))")

    def run(key: str | None, note: str | None, changed: datetime | None) -> None:
        with server.root() as db, db.cursor() as cursor:
            cursor.execute(f"use {name}")
            # This one alone: what is alike to the server is another row.
            cursor.execute("delete from thing where cast(id as binary) = %s", (key,))
            if note is not None:
                cursor.execute("insert into thing values (%s, %s, %s)", (key, note, changed))
            db.commit()

    return Database(url, run, tmp_path / "memory")


@pytest.fixture
def odbc_database(mariadb_database: Database) -> Database:
    """Make the table on that server, and read it through its ODBC driver."""
    told = sa.make_url(mariadb_database.url)
    # Where the address has a port, SQLAlchemy writes it as SQL Server's driver reads it.
    options = {"driver": "MariaDB Unicode", "port": str(told.port), "charset": "utf8mb4"}
    url = sa.URL.create(
        "mariadb+pyodbc", told.username, told.password, told.host, None, told.database, options
    )
    mariadb_database.url = url.render_as_string(hide_password=False)
    return mariadb_database


_SERVERS = ("postgres", "mariadb", "mysql", "odbc")


@pytest.fixture(
    params=[
        "sqlite",
        "duckdb",
        *(pytest.param(each, marks=pytest.mark.real_system) for each in _SERVERS),
    ]
)
def database(request: pytest.FixtureRequest) -> Database:
    """Give the table in each kind of database."""
    found: Database = request.getfixturevalue(f"{request.param}_database")
    return found


@pytest.fixture(scope="session")
def _running_orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(PostgresServer) as server:
        service = Service(tmp_path_factory.mktemp("cap"), server)
        service.run("create view orders as select * from nplusx_factory_salesorders")
        service.start()
        yield service
        service.stop()


@pytest.fixture
def orders(_running_orders: Service) -> Service:
    """Give an OData service with nothing in it."""
    for table in ("salesorders", "salesorderlines", "purchaseinvoices"):
        _running_orders.run(f"truncate nplusx_factory_{table}")
    return _running_orders


@pytest.fixture
def folder(tmp_path: Path) -> Drop:
    (tmp_path / "in").mkdir()
    return Drop(tmp_path / "in", None)


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[Drop]:
    (tmp_path / "in").mkdir()
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "host.key"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    shown = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    port, log = free_port(), tmp_path / "log"
    given = (sys.executable, sftp_server.__file__, str(port), str(tmp_path / "in"), str(path))
    with log.open("wb") as out:
        server = subprocess.Popen(given, stdout=out, stderr=out)
    try:
        wait_until_owned(server, port, log)
        user, password = sftp_server.USER, sftp_server.PASSWORD
        login = Login("127.0.0.1", port, shown.decode(), user, password, "", "/")
        yield Drop(tmp_path / "in", login, server)
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(params=["folder", pytest.param("sftp", marks=pytest.mark.real_system)])
def drop(request: pytest.FixtureRequest) -> Drop:
    found: Drop = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    port = free_port()
    log = tmp_path_factory.mktemp("modbus") / "log"
    made = Program(python("modbus_device.py", str(port)), port, log)
    made.start()
    yield made
    made.kill()

"""The singer kind with two real taps, a new one and an old one, on two real databases."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from connectors.base import Source, StreamPlan
from connectors.kinds.singer import SingerConnector, SingerSource, SingerStream
from connectors.registry import find
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import ContractId, SourceId
from pipeline.settings import ROOT
from tests.connectors.machines.landing import agent_of, landed
from tests.connectors.machines.singer_taps import program
from tests.connectors.reading import read_all
from tests.pipeline.world import World
from tests.servers import OWNER, PASSWORD, MariaServer, PostgresServer, running

pytestmark = pytest.mark.real_system
MAPPING = (
    "select id, note, cast(n as decimal(38, 10)) as n, cast(changed as timestamptz) as changed,"
    " _op from rows"
)
INSERT = "insert into thing (id, note, n, changed) values"
TEST = ContractId("test.row.v1")


def plan(stream: str, method: str, **more: object) -> StreamPlan[SingerStream]:
    updated = "changed" if method == "incremental" else ""
    how = SingerStream(stream, method, updated, ("id",), **more)
    return StreamPlan(TEST, "1.0.0", MAPPING, how)


class Database:
    """A table `thing` behind a tap."""

    def __init__(
        self, run: Callable[[str], None], way: SingerSource, stream: str, folder: Path
    ) -> None:
        self.run, self.way, self.stream, self.folder = run, way, stream, folder

    def connector(self, **config: object) -> SingerConnector:
        """Give a connector as a new agent has it."""
        way = SingerSource(
            self.way.command, {**self.way.config, **config}, {}, self.way.catalog_option,
            page_rows=1000, pause_seconds=0, silence_seconds=60,
        )  # fmt: skip
        return SingerConnector(Source(SourceId("s"), "none", way, memory=self.folder / "memory"))

    def put(self, first: int, last: int, note: str, day: int) -> None:
        """Write rows; a hundred share a moment."""
        for start in range(first, last, 500):
            rows = ", ".join(
                f"('{n:06}', '{note}', {n}.0000000001, "
                f"'2024-03-{day:02} {n // 6000 % 24:02}:{n // 100 % 60:02}:00')"
                for n in range(start, min(start + 500, last))
            )
            self.run(f"{INSERT} {rows}")


@pytest.fixture
def on_postgres(postgres: PostgresServer, tmp_path: Path) -> Database:
    url = postgres.fresh()

    def run(query: str) -> None:
        with psycopg.connect(url) as db:
            db.execute(query)

    run(
        "create table thing"
        " (id text primary key, note text, n numeric(30, 10), changed timestamptz)"
    )
    config = {
        "host": "127.0.0.1", "port": postgres.port, "user": "owner", "password": "sesame",
        "database": url.rpartition("/")[2], "filter_schemas": ["public"],
    }  # fmt: skip
    way = SingerSource((program("postgres"),), config, {})
    return Database(run, way, "public-thing", tmp_path)


@pytest.fixture(scope="module")
def own_mariadb() -> Iterator[MariaServer]:
    with running(MariaServer) as server:
        yield server


@pytest.fixture
def on_mariadb(own_mariadb: MariaServer, tmp_path: Path) -> Database:
    name = own_mariadb.fresh().rpartition("/")[2]

    def run(query: str) -> None:
        with own_mariadb.root() as db, db.cursor() as cursor:
            cursor.execute(f"use {name}")
            cursor.execute(query)
            db.commit()

    run(
        "create table thing"
        " (id varchar(99) primary key, note longtext, n decimal(30, 10), changed datetime)"
    )
    config = {
        "host": "127.0.0.1", "port": str(own_mariadb.port), "user": OWNER,
        "password": PASSWORD, "database": name, "filter_dbs": name,
    }  # fmt: skip
    way = SingerSource((program("mysql"),), config, {}, "properties")
    return Database(run, way, f"{name}-thing", tmp_path)


@pytest.fixture(params=["on_postgres", "on_mariadb"])
def database(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(request.param)
    return found


def keys(rows: list[dict[str, object]]) -> list[int]:
    return sorted(int(str(row["id"])) for row in rows)


def test_first_read_what_changed_what_is_late_and_nothing_twice(database: Database) -> None:
    database.put(0, 5000, "first", 1)
    connector, how = database.connector(), plan(database.stream, "incremental")
    rows, cursor = read_all(connector, how)
    assert keys(rows) == list(range(5000))
    assert {str(row["n"]) for row in rows} >= {"7.0000000001", "4999.0000000001"}
    assert read_all(connector, how, cursor)[0] == []
    database.run("update thing set note = 'other', changed = '2024-03-02' where id = '000007'")
    database.put(5000, 5003, "new", 3)
    rows, cursor = read_all(connector, how, cursor)
    assert [(row["id"], row["note"]) for row in rows] == [
        ("000007", "other"), ("005000", "new"), ("005001", "new"), ("005002", "new"),
    ]  # fmt: skip
    # It comes late into the moment at which the last pass ended.
    database.put(5003, 5004, "late", 3)
    assert keys(read_all(connector, how, cursor)[0]) == [5003]
    connector.close()


def test_a_full_table_is_compared_and_its_lost_rows_are_deleted(database: Database) -> None:
    database.put(0, 2500, "first", 1)
    connector, how = database.connector(), plan(database.stream, "full_table", deletes=True)
    rows, cursor = read_all(connector, how)
    assert keys(rows) == list(range(2500))
    database.run("update thing set note = '改' where id = '000007'")
    database.run("delete from thing where id = '002000'")
    rows, cursor = read_all(connector, how, cursor)
    assert [(row["id"], row["note"], row["_op"]) for row in rows] == [
        ("000007", "改", "upsert"), ("002000", None, "delete"),
    ]  # fmt: skip
    assert read_all(connector, how, cursor)[0] == []
    connector.close()


CHILD = """
import json, os, signal, sys
from pathlib import Path
from tests.connectors.test_singer_taps import *
folder, method, stream, command, config, option, pages, cursor = json.load(sys.stdin)
way = SingerSource(tuple(command), config, {}, option)
database = Database(None, way, stream, Path(folder))
connector = database.connector()
for _ in range(pages):
    page = connector.read(plan(stream, method), cursor)
    cursor = page.cursor
    keys = page.rows["id"].to_pylist() if page.rows else []
    print("PAGE", json.dumps((cursor, keys, page.more)), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


# One gives its state at the end only, the other on the way.
@pytest.mark.parametrize(
    ("name", "method"), [("on_postgres", "full_table"), ("on_mariadb", "incremental")]
)
def test_an_agent_killed_between_pages_loses_and_doubles_nothing(
    request: pytest.FixtureRequest, name: str, method: str
) -> None:
    database: Database = request.getfixturevalue(name)
    database.put(0, 12_000, "first", 1)
    cursor, found, more = None, [], True
    for pages in (1, 5, 3):
        way = database.way
        given = (
            str(database.folder), method, database.stream, way.command, way.config,
            way.catalog_option, pages, cursor,
        )  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", CHILD], input=json.dumps(given), capture_output=True, text=True,
            cwd=ROOT, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr
        for line in done.stdout.splitlines():
            if line.startswith("PAGE "):
                cursor, names, more = json.loads(line[5:])
                found += names
        assert more
    connector = database.connector()
    rows, cursor = read_all(connector, plan(database.stream, method), cursor)
    assert sorted([*map(int, found), *keys(rows)]) == list(range(12_000))
    assert read_all(connector, plan(database.stream, method), cursor)[0] == []
    connector.close()


def test_a_database_that_goes_and_comes_back(
    on_mariadb: Database, own_mariadb: MariaServer
) -> None:
    on_mariadb.put(0, 20_000, "a" * 1000, 1)
    connector, how = on_mariadb.connector(), plan(on_mariadb.stream, "incremental")
    page = connector.read(how, None)
    assert page.rows is not None
    found = page.rows["id"].to_pylist()
    own_mariadb.stop()
    cursor = page.cursor
    why = ""
    while not why:
        try:
            page = connector.read(how, cursor)
        except DependencyUnavailableError as wrong:
            why = str(wrong)
        else:
            found += page.rows["id"].to_pylist() if page.rows else []
            cursor = page.cursor
    assert "ended with code" in why
    assert PASSWORD not in why
    with pytest.raises(DependencyUnavailableError, match=r"Can't connect|Connection refused"):
        connector.read(how, cursor)
    own_mariadb.start()
    rows, _ = read_all(connector, how, cursor)
    assert sorted([*map(int, found), *keys(rows)]) == list(range(20_000))
    connector.close()


def test_what_is_wrong_with_the_source_is_told(
    database: Database, postgres: PostgresServer
) -> None:
    database.put(0, 3, "first", 1)
    for config, method, stream, says in (
        ({"port": type(database.way.config["port"])(1)}, "incremental", database.stream, "refused"),
        ({"user": "nobody", "password": "pa55word"}, "incremental", database.stream, "nobody"),
        ({}, "incremental", "public-other", "no stream public-other"),
    ):
        connector = database.connector(**config)
        kinds = (ConfigurationError, DependencyUnavailableError)
        with pytest.raises(kinds, match=says) as caught:
            read_all(connector, plan(stream, method))
        assert "pa55word" not in str(caught.value)
        connector.close()
    connector = database.connector()
    how = plan(database.stream, "incremental")
    wrong = StreamPlan(TEST, "1", "select note2 from rows", how.how)
    with pytest.raises(ConfigurationError, match="note2"):
        read_all(connector, wrong)
    connector.close()


ORDERS = """
create schema nplusx;
create table nplusx.sales_order (
    order_id text primary key, order_no text, ordered_on date, customer_code text,
    customer_name text, currency text, status text, sales_channel text, store_code text,
    destination_country text, updated_at timestamptz
);
insert into nplusx.sales_order
select 'O' || n, 'SO-' || n, '2024-05-06', 'C1', '安吉家具 🪑', 'CNY', 'approved', 'direct', null,
    'CN', timestamptz '2024-05-06 08:00+08' + n * interval '1 s'
from generate_series(1, 250) n
"""
CLOSE = """
update nplusx.sales_order set status = 'closed', updated_at = '2024-05-07 08:00+08'
where order_id = 'O7'
"""


def test_from_a_tap_to_a_landed_table(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, url = World(tmp_path / "state", monkeypatch), postgres.fresh()
    with psycopg.connect(url) as db:
        db.execute(ORDERS)
    monkeypatch.setenv("NPLUSX_TAP_PASSWORD", "sesame")
    name = url.rpartition("/")[2]
    source = f"""
- id: shop
  preset: tap_postgres
  command: [{program("postgres")}]
  page_rows: 100
  pause_seconds: 0
  config:
    host: 127.0.0.1
    port: {postgres.port}
    user: owner
    password: ${{NPLUSX_TAP_PASSWORD}}
    database: {name}
    filter_schemas: [nplusx]
"""
    with closing(agent_of(world, tmp_path, source, "erp.sales_order.v1")) as agent:
        assert agent.round().is_clean
        with psycopg.connect(url) as db:
            db.execute(CLOSE)
        report = agent.round()
        assert report.is_clean
        assert sum(each.rows_read for each in report.streams) == 1
    rows = landed(world, "erp.sales_order.v1")
    assert len(rows) == 251
    assert len({row["order_id"] for row in rows}) == 250
    assert (rows[-1]["order_id"], rows[-1]["status"]) == ("O7", "closed")
    assert find("tap_postgres").kind == "singer"

"""A table `thing` in databases that log changes, and how to follow it."""

# ruff: noqa: S608 - the statements are the test's own

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg

from connectors.base import Source, StreamPlan
from connectors.cdc.log import CdcStream
from connectors.kinds.cdc import CdcConnector, CdcSource
from kernel.ids import ContractId, SourceId
from tests.servers import MariaServer, PostgresServer

MAPPING = "select id as key, note, _op from rows"
PLAN = StreamPlan(ContractId("test.row.v1"), "1.0.0", MAPPING, CdcStream("thing", ("id",)))
Run = Callable[[str], None]


def said(rows: list[dict[str, object]]) -> list[tuple[object, object, object]]:
    return [(row["key"], row["note"], row["_op"]) for row in rows]


def follow(url: str, **options: object) -> CdcConnector:
    return CdcConnector(Source(SourceId("s"), "none", replace(CdcSource(url), **options)))


class Logged:
    """A database with the table, empty, and what an administrator has prepared."""

    def __init__(self, url: str, server: PostgresServer | MariaServer) -> None:
        self.url, self.server = url, server
        self.is_postgres = url.startswith("postgresql")

    def connector(self, **options: object) -> CdcConnector:
        # Slots are the whole server's, not the database's.
        slot = f"{self.url.rpartition('/')[2]}{options.pop('slot', '')}"
        return follow(self.url, slot=slot, **options)

    def run(self, *texts: str) -> None:
        """Run statements, each a transaction of its own."""
        for text in texts:
            with self.transaction() as run:
                run(text)

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        if self.is_postgres:
            with psycopg.connect(self.url) as db:
                yield lambda text: db.execute(text) and None
        else:
            with self.server.root() as db, db.cursor() as cursor:
                cursor.execute(f"use {self.url.rpartition('/')[2]}")
                yield lambda text: cursor.execute(text) and None
                db.commit()

    def fill(self, first: int, last: int, note: str = "x") -> None:
        """Insert rows in one transaction."""
        values = ", ".join(f"({n}, '{note}')" for n in range(first, last + 1))
        self.run(f"insert into thing values {values}")


def postgres_table(server: PostgresServer) -> Logged:
    table = Logged(server.fresh(), server)
    table.run(
        "create table thing (id int primary key, note text)",
        "create publication nplusx for table thing",
    )
    return table


def mysql_table(server: MariaServer) -> Logged:
    table = Logged(server.fresh(), server)
    table.run("create table thing (id int primary key, note text)")
    return table

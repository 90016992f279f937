"""The county's database servers, where every test has empty databases of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psycopg

from county.servers.database import OWNER, Database
from county.servers.mariadb import MariaDb
from county.servers.postgres import Postgres

PASSWORD = "sesame"  # noqa: S105 - of a test's own server


class PostgresServer(Postgres):
    """A cluster; `fresh` gives an empty database of it."""

    count = 0

    def fresh(self) -> str:
        """Make an empty database; give its address."""
        self.count += 1
        name = f"test{self.count}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return self.address(name)


class MariaServer(MariaDb):
    """A server; `fresh` gives an empty database of it."""

    count = 0

    def fresh(self) -> str:
        """Make an empty database; give its address."""
        self.count += 1
        return self.database(f"test{self.count}")


Kind = TypeVar("Kind", bound=Database)


@contextmanager
def running(kind: type[Kind]) -> Iterator[Kind]:
    """Run a server for as long as the block lasts, where another user can reach its folder."""
    folder = Path(tempfile.mkdtemp(prefix="nplusx-db-"))
    folder.chmod(0o711)
    (folder / "server").mkdir()
    (folder / "server" / f"{OWNER}.password").write_text(PASSWORD, "utf-8")
    server = kind(folder / "server")
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)

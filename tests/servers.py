"""The county's database servers, where every test has empty databases of its own."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import psutil
import psycopg
import pymysql
import pytest
from typing_extensions import override

from county.servers import programs
from county.servers.database import OWNER, Database
from county.servers.mariadb import MariaDb
from county.servers.postgres import Postgres
from county.servers.programs import Child
from tests.certificates import Authority

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

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
    """A server that speaks TLS to whoever wants it; `fresh` gives an empty database of it."""

    count = 0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.authority = Authority(folder)
        certificate, key = self.authority.certify("mariadb")
        speaks = f"--ssl-cert={certificate}", f"--ssl-key={key}"
        self._child.argv = (*self._child.argv, *speaks)

    def fresh(self) -> str:
        """Make an empty database; give its address."""
        self.count += 1
        return self.database(f"test{self.count}")


_POM = Path(__file__).with_name("mysql") / "pom.xml"
_MYSQL = """[mysqld]
basedir={home}
datadir={folder}/data
socket={folder}/s.sock
pid-file={folder}/p.pid
tmpdir={folder}
port={port}
bind-address=127.0.0.1
mysqlx=0
skip-name-resolve
character-set-server=utf8mb4
innodb-flush-log-at-trx-commit=0
innodb-buffer-pool-size=64M
server-id=1
log-bin=binlog
binlog-row-metadata=FULL
"""


class MySqlServer(MariaServer):
    """Oracle's MySQL 8.0, which `make setup` fetches for Linux on x86-64."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Our own account can reach the program wherever the checkout lies.
        self._account = None
        digest = hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]
        self._home = Path(sys.prefix) / "share" / "nplusx" / f"mysql-{digest}"
        argv = [str(self._home / "bin" / "mysqld"), f"--defaults-file={self._config}"]
        if os.geteuid() == 0:
            argv.append("--user=root")
        self._child = Child(argv, self.port, folder / "log")

    @override
    def start(self) -> None:
        config = _MYSQL.format(home=self._home, folder=self._folder, port=self.port)
        self._config.write_text(config, "utf-8")
        if not (self._folder / "data").exists():
            programs.run([*self._child.argv, "--initialize-insecure"])
        self._child.start()

    @override
    def root(self) -> "pymysql.Connection[Cursor]":
        return pymysql.connect(unix_socket=str(self._folder / "s.sock"), user="root")


def needs_mysql() -> None:
    """Leave a test out where there is no MySQL to be had."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("Maven has MySQL's program for Linux on x86-64 alone")


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


@contextmanager
def frozen(process: "subprocess.Popen[bytes] | None") -> Iterator[None]:
    """Stop a server's processes where they stand; its system still answers for it."""
    assert process
    first = psutil.Process(process.pid)
    # The first one makes the others.
    stopped = [first]
    first.suspend()
    try:
        for each in first.children(recursive=True):
            each.suspend()
            stopped.append(each)
        yield
    finally:
        for each in reversed(stopped):
            each.resume()

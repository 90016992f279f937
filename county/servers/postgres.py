"""A PostgreSQL cluster with a database for each factory that keeps its books there."""

import shutil
import signal
from pathlib import Path

import psycopg
from psycopg import sql
from typing_extensions import override

from county.servers import programs
from county.servers.database import OWNER, READER, Database
from county.servers.programs import LOOPBACK, Child
from kernel import clock

_READY_SECONDS, _PAUSE_SECONDS = 60.0, 0.1
_DEBIAN = Path("/usr/lib/postgresql")


class Postgres(Database):
    """A cluster; `database` gives the address of one of its databases."""

    scheme = "postgresql"
    account = "postgres"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._child = Child(
            (_program("postgres"), "-D", str(folder / "data"), *self._flags()), self.port,
            folder / "log", self._account, signal.SIGINT,
        )  # fmt: skip

    def _flags(self) -> list[str]:
        options = {
            "port": str(self.port),
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "wal_level": "logical",
            # Whoever follows the log takes one of each, and there are many factories.
            "max_replication_slots": "40",
            "max_wal_senders": "40",
            # Made up from a seed: what a power cut takes is made anew.
            "fsync": "off",
            "timezone": "Asia/Shanghai",
            "log_timezone": "Asia/Shanghai",
            "shared_buffers": "32MB",
        }
        return [part for key, value in options.items() for part in ("-c", f"{key}={value}")]

    @override
    def start(self) -> None:
        """Make the cluster once, and start it."""
        if not (self._folder / "data").exists():
            # An interrupted attempt is made anew.
            fresh, given = self._folder / "data.new", self._folder / "given"
            shutil.rmtree(fresh, ignore_errors=True)
            given.write_text(self._passwords[OWNER], "utf-8")
            if self._account is not None:
                shutil.chown(given, self._account.uid, self._account.gid)
            programs.run(
                [
                    *(_program("initdb"), "-D", str(fresh), "-U", OWNER, f"--pwfile={given}"),
                    *("-A", "scram-sha-256", "--no-sync", "--locale=C.UTF-8", "-E", "UTF8"),
                ],
                self._account,
            )
            given.unlink()
            fresh.rename(self._folder / "data")
        self._child.start()
        # It listens before it lets anybody in.
        deadline = clock.monotonic() + _READY_SECONDS
        while True:
            try:
                psycopg.connect(self.address("postgres")).close()
            except psycopg.OperationalError:
                if clock.monotonic() > deadline:
                    raise
                clock.sleep(_PAUSE_SECONDS)
            else:
                return

    @override
    def database(self, name: str) -> str:
        """Make an empty database unless it is there, which a reader may read; give its address."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as server:
            quoted = sql.Identifier(name)
            if not server.execute("select 1 from pg_roles where rolname = %s", [READER]).fetchone():
                word = sql.Literal(self._passwords[READER])
                server.execute(sql.SQL("create role reader login password {}").format(word))
            if not server.execute(
                "select 1 from pg_database where datname = %s", [name]
            ).fetchone():
                server.execute(sql.SQL("create database {}").format(quoted))
        with psycopg.connect(self.address(name), autocommit=True) as made:
            made.execute(
                "alter default privileges in schema public grant select on tables to reader"
            )
        return self.address(name)


def _program(name: str) -> str:
    """Find a program of the server; Debian keeps them by version, the newest first."""
    versions = [each for each in _DEBIAN.glob("*") if each.name.isdigit()]
    versions.sort(key=lambda each: int(each.name), reverse=True)
    return programs.find(name, *(each / "bin" for each in versions))

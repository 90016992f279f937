"""Starts one real PostgreSQL as an unprivileged user, and stops it."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.broker import free_port, wait_until_owned

_DEBIAN = Path("/usr/lib/postgresql")
USER = "owner"


def _program(name: str) -> str:
    """Find a program of the server; Debian keeps them off the PATH, by version."""
    versions = sorted(_DEBIAN.glob("*"), key=lambda each: each.name, reverse=True)
    path = os.pathsep.join(str(version / "bin") for version in versions)
    found = shutil.which(name, path=path) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(name)
    return found


class Server:
    """A database cluster; `fresh` gives an empty database of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0

    def start(self) -> None:
        """Make the cluster and start it; PostgreSQL refuses root, so another user runs it."""
        user = None
        if os.geteuid() == 0:
            user = "postgres"
            entry = pwd.getpwnam(user)
            os.chown(self._folder, entry.pw_uid, entry.pw_gid)
        data, log = self._folder / "data", self._folder / "log"
        if not data.exists():
            self._make(data, user)
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "wal_level": "logical",
            "max_replication_slots": "40",
            "max_wal_senders": "40",
            "timezone": "Asia/Shanghai",
        }
        flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", str(data), *flags],
                stdout=out,
                stderr=out,
                user=user,
                cwd=self._folder,
            )
        wait_until_owned(self._process, self.port, log)
        while not self._answers():
            time.sleep(0.05)

    def _make(self, data: Path, user: str | None) -> None:
        subprocess.run(
            [
                _program("initdb"),
                "-D",
                str(data),
                "-U",
                USER,
                "-A",
                "trust",
                "--no-sync",
                "--locale=C.UTF-8",
                "-E",
                "UTF8",
            ],
            check=True,
            capture_output=True,
            user=user,
            cwd=self._folder,
        )

    def _answers(self) -> bool:
        """Tell whether it has started: it refuses for a while though it listens."""
        try:
            psycopg.connect(self.address("postgres")).close()
        except psycopg.OperationalError as refused:
            if "starting up" in str(refused):
                return False
            raise
        return True

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            # Whoever is connected is cut off.
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(15)

    def address(self, database: str) -> str:
        """Give the address of a database, as an agent's file holds it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        """Make an empty database; give its address."""
        self._count += 1
        name = f"test{self._count}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return self.address(name)


@contextmanager
def running_server() -> Iterator[Server]:
    """Run a server for as long as the block lasts, where another user can reach its folder."""
    folder = Path(tempfile.mkdtemp(prefix="nplusx-pg-"))
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)

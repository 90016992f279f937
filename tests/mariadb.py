"""Starts one real MariaDB as an unprivileged user, and stops it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from tests.broker import free_port, wait_until_owned

USER, PASSWORD = "owner", "sesame"
_CONFIG = """[mysqld]
datadir={folder}/data
tmpdir={folder}
socket={folder}/s.sock
pid-file={folder}/p.pid
port={port}
bind-address=127.0.0.1
skip-name-resolve
character-set-server=utf8mb4
lower-case-table-names=0
innodb-flush-log-at-trx-commit=0
server-id=1
log-bin=binlog
binlog-format=ROW
binlog-row-image=FULL
binlog-row-metadata=FULL
"""


class Server:
    """A server; `fresh` gives an empty database of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0

    def start(self) -> None:
        """Make its files once and start it; it refuses root, so another user runs it."""
        user = None
        if os.geteuid() == 0:
            user = "mysql"
            entry = pwd.getpwnam(user)
            os.chown(self._folder, entry.pw_uid, entry.pw_gid)
        config = self._folder / "my.cnf"
        defaults = f"--defaults-file={config}"
        if not config.exists():
            config.write_text(_CONFIG.format(folder=self._folder, port=self.port), "utf-8")
            subprocess.run(
                [_program("mariadb-install-db"), defaults],
                check=True, capture_output=True, user=user, cwd=self._folder,
            )  # fmt: skip
        log = self._folder / "log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [_program("mariadbd"), defaults], stdout=out, stderr=out, user=user,
                cwd=self._folder,
            )  # fmt: skip
        wait_until_owned(self._process, self.port, log)

    def stop(self) -> None:
        """End it, as a shutdown of the machine does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def root(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """Connect as the superuser, over the socket."""
        user = "root" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        return pymysql.connect(unix_socket=str(self._folder / "s.sock"), user=user)

    def fresh(self) -> str:
        """Make an empty database, and give its address."""
        self._count += 1
        name = f"test{self._count}"
        with self.root() as connection, connection.cursor() as cursor:
            cursor.execute(f"create database {name} character set utf8mb4")
            cursor.execute(f"create user if not exists {USER}@'%' identified by '{PASSWORD}'")
            cursor.execute(f"grant all on {name}.* to {USER}@'%'")
            cursor.execute(f"grant replication slave, replication client on *.* to {USER}@'%'")
        return f"mysql+pymysql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}"


def _program(name: str) -> str:
    """Find a program of the server; Debian keeps one of them off a plain user's PATH."""
    found = shutil.which(name, path=os.pathsep.join(("/usr/sbin", "/usr/bin"))) or shutil.which(
        name
    )
    if found is None:
        raise FileNotFoundError(name)
    return found


@contextmanager
def running_server() -> Iterator[Server]:
    """Run a server while somebody needs it."""
    with tempfile.TemporaryDirectory(prefix="nplusx-my-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        server = Server(path)
        server.start()
        try:
            yield server
        finally:
            server.stop()

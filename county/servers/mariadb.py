"""A MariaDB server with a database for each factory that keeps its books there."""

import os
import pwd
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pymysql
from typing_extensions import override

from county.servers import programs
from county.servers.database import OWNER, READER, Database
from county.servers.programs import Child

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_CONFIG = """[mysqld]
datadir={folder}/data
socket={folder}/s.sock
pid-file={folder}/p.pid
tmpdir={folder}
port={port}
bind-address=127.0.0.1
skip-name-resolve
character-set-server=utf8mb4
lower-case-table-names=0
innodb-flush-log-at-trx-commit=0
innodb-buffer-pool-size=64M
server-id=1
log-bin=binlog
binlog-format=ROW
binlog-row-image=FULL
binlog-row-metadata=FULL
"""


class MariaDb(Database):
    """A server; `database` gives the address of one of its databases."""

    scheme = "mysql+pymysql"
    account = "mysql"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._config = folder / "my.cnf"
        argv = (programs.find("mariadbd"), f"--defaults-file={self._config}")
        self._child = Child(argv, self.port, folder / "log", self._account)

    @override
    def start(self) -> None:
        """Make its files once, and start it."""
        self._config.write_text(_CONFIG.format(folder=self._folder, port=self.port), "utf-8")
        if self._account is not None:
            shutil.chown(self._config, self._account.uid, self._account.gid)
        done = self._folder / "made"
        if not done.exists():
            # An interrupted attempt is made anew.
            shutil.rmtree(self._folder / "data", ignore_errors=True)
            install = programs.find("mariadb-install-db")
            programs.run([install, f"--defaults-file={self._config}"], self._account)
            done.touch()
        self._child.start()

    def root(self) -> "pymysql.Connection[Cursor]":
        """Connect as the superuser, over the socket."""
        user = "root" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        return pymysql.connect(unix_socket=str(self._folder / "s.sock"), user=user)

    @override
    def database(self, name: str) -> str:
        """Make an empty database unless it is there, which a reader may read; give its address."""
        with self.root() as connection, connection.cursor() as cursor:
            cursor.execute(f"create database if not exists `{name}` character set utf8mb4")
            for user, rights in ((OWNER, "all"), (READER, "select")):
                cursor.execute(
                    f"create user if not exists {user}@'%%' identified by %s",
                    [self._passwords[user]],
                )
                cursor.execute(f"grant {rights} on `{name}`.* to {user}@'%'")
                cursor.execute(f"grant replication slave, replication client on *.* to {user}@'%'")
        return self.address(name)

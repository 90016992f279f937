"""The demo factory's PostgreSQL: a cluster of its own, run by an unprivileged account."""

import os
import pwd
import secrets
import shutil
from pathlib import Path

from kernel.errors import DependencyUnavailableError
from pipeline.stack import processes
from pipeline.stack.layout import Layout, readable_disk_errors
from pipeline.stack.ports import LOOPBACK, Ports
from pipeline.stack.processes import Account
from pipeline.stack.program import Program

USER = "postgres"
_DEBIAN = Path("/usr/lib/postgresql")
_ACCOUNTS = ("postgres", "nobody")


def binary(name: str) -> str:
    """Find a program of the PostgreSQL server; Debian keeps them off the PATH, by version."""
    versions = sorted(
        (folder for folder in _DEBIAN.glob("*") if folder.name.isdigit()),
        key=lambda folder: int(folder.name),
        reverse=True,
    )
    path = os.pathsep.join(str(version / "bin") for version in versions)
    found = shutil.which(name, path=path) or shutil.which(name)
    if found is None:
        raise DependencyUnavailableError(
            f"PostgreSQL's `{name}` is not there.",
            where=f"{_DEBIAN} and the PATH",
            cure="run `make setup`, or install the PostgreSQL server (Debian: `postgresql`).",
        )
    return found


def account() -> Account | None:
    """Choose who runs the database: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise DependencyUnavailableError(
        "PostgreSQL refuses to run as root, and there is no unprivileged account.",
        where="/etc/passwd",
        cure="create the account `postgres`, or run as another account than root.",
    )


def password(layout: Layout) -> str:
    """Give the generated password of the database's owner."""
    return layout.secret("source_password", lambda: secrets.token_urlsafe(24))


def url(layout: Layout, ports: Ports) -> str:
    """Give the SQLAlchemy address of the database, password included."""
    return f"postgresql+psycopg://{USER}:{password(layout)}@{LOOPBACK}:{ports.source}/postgres"


def prepare(layout: Layout) -> None:
    """Make the database cluster once; an interrupted attempt is made anew."""
    who = account()
    if who:
        layout.require_passable()
    data = layout.source / "data"
    with readable_disk_errors(layout.source):
        layout.source.mkdir(mode=0o700, exist_ok=True)
        if who:
            os.chown(layout.source, who.uid, who.gid)
    if data.exists():
        return
    fresh, given = layout.source / "data.new", layout.source / "password"
    shutil.rmtree(fresh, ignore_errors=True)
    layout.write_private(given, password(layout).encode())
    if who:
        os.chown(given, who.uid, who.gid)
    processes.run_once(
        [
            *(binary("initdb"), "-D", str(fresh), "-U", USER, f"--pwfile={given}", "--no-sync"),
            *("-A", "scram-sha-256", "--locale=C.UTF-8", "-E", "UTF8"),
        ],
        {processes.STACK: str(layout.state)},
        layout.log("source-initdb"),
        who,
    )
    with readable_disk_errors(layout.source):
        given.unlink()
        fresh.rename(data)


def program(layout: Layout, ports: Ports, environment: dict[str, str]) -> Program:
    """Describe the database to the supervisor."""
    options = {
        "port": str(ports.source),
        "listen_addresses": LOOPBACK,
        "unix_socket_directories": "",
        "wal_level": "logical",
        "timezone": "Asia/Shanghai",
        "log_timezone": "Asia/Shanghai",
        "shared_buffers": "32MB",
    }
    flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
    return Program(
        "source",
        (binary("postgres"), "-D", str(layout.source / "data"), *flags),
        environment,
        layout.source,
        account(),
        start_seconds=1,
        stop_signal="INT",
        stop_group=False,
    )

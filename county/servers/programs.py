"""Runs somebody else's server as a child of ours, on a port of loopback that it proves to own."""

import hashlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import psutil

from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError

LOOPBACK = "127.0.0.1"
# Where a server works that needs no folder: nothing of ours is kept in use there.
ROOT = Path("/")
_OTHERS_MAY_PASS = 0o001
_START_SECONDS, _STOP_SECONDS = 60.0, 20.0
_PAUSE_SECONDS = 0.1
_SAID_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged account, for a server that refuses root."""

    name: str
    uid: int
    gid: int


def unprivileged(*names: str) -> Account | None:
    """Choose who runs a server that refuses root: nobody but ourselves if we are not root."""
    if os.geteuid() != 0:
        return None
    for name in (*names, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise DependencyUnavailableError(
        "This server refuses to run as root, and there is no unprivileged account.",
        where="/etc/passwd",
        cure=f"create the account `{names[0]}`, or run as another account than root.",
    )


def give(folder: Path, account: Account | None) -> None:
    """Make a folder that is an account's own; it must be able to get there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is None:
        return
    for each in folder.absolute().parents:
        if not each.stat().st_mode & _OTHERS_MAY_PASS:
            raise ConfigurationError(
                f"The server runs as the account {account.name}, which may not enter this folder.",
                where=str(each),
                cure=f"`chmod o+x {each}`, or choose a folder that it can reach.",
            )
    os.chown(folder, account.uid, account.gid)


def find(name: str, *folders: Path) -> str:
    """Find a program; Debian keeps servers off a plain user's PATH."""
    beside = os.pathsep.join(str(each) for each in (*folders, Path("/usr/sbin"), Path("/sbin")))
    found = shutil.which(name) or shutil.which(name, path=beside)
    if found is None:
        raise DependencyUnavailableError(
            f"The program `{name}` is not there.",
            where="the PATH",
            cure="run `make setup`, which installs it.",
        )
    return found


def node_modules(name: str, folder: Path) -> Path:
    """Name the folder of a Node program's packages, which `make setup` fetches by their lock."""
    lock = (folder / "package-lock.json").read_bytes()
    digest = hashlib.sha256(lock).hexdigest()[:12]
    found = Path(sys.prefix) / "share" / "nplusx" / f"{name}-{digest}" / "node_modules"
    if not found.is_dir():
        raise DependencyUnavailableError(
            f"The packages for {name} are not there.", where=str(found), cure="run `make setup`."
        )
    return found


def run(
    argv: Sequence[str],
    account: Account | None = None,
    folder: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a command to its end; a failure is told with its last words."""
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, cwd=folder, env=environment,
        **_as(account),
    )  # fmt: skip
    if done.returncode:
        raise DependencyUnavailableError(
            f"{Path(argv[0]).name} ended with {done.returncode}: {done.stderr[-_SAID_BYTES:]}",
            where=" ".join(argv[:4]),
            cure="mend what it names, then run the command again.",
        )


class _As(TypedDict, total=False):
    user: int
    group: int
    extra_groups: Sequence[int]


def _as(account: Account | None) -> _As:
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def secret(path: Path) -> str:
    """Read a password from its file; the first time it is made."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text("utf-8")


def port(path: Path) -> int:
    """Read a port from its file; the first time any free one is chosen."""
    if not path.exists():
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            path.write_text(str(probe.getsockname()[1]), "utf-8")
    return int(path.read_text("utf-8"))


@dataclass(slots=True)
class Child:
    """A server as a child process; it can be stopped and started again."""

    argv: Sequence[str]
    port: int
    log: Path
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    folder: Path = ROOT
    environment: Mapping[str, str] | None = None
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._end_orphan()
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.folder,
                env=self.environment, **_as(self.account),
            )  # fmt: skip
        deadline = clock.monotonic() + _START_SECONDS
        while not self._listens():
            if not self.is_alive or clock.monotonic() > deadline:
                self.kill()
                raise DependencyUnavailableError(
                    f"{Path(self.argv[0]).name} did not open port {self.port}; it said last: "
                    f"{self.log.read_text('utf-8', 'replace')[-_SAID_BYTES:]}",
                    where=str(self.log),
                    cure="mend what it names, then run the command again.",
                )
            clock.sleep(_PAUSE_SECONDS)

    def _end_orphan(self) -> None:
        """End what a run that was killed left behind: it holds the port, and mostly the folder."""
        for each in psutil.process_iter(["cmdline"]):
            if each.info["cmdline"] == list(self.argv):
                with suppress(psutil.NoSuchProcess):
                    each.send_signal(self.stop_signal)
                    try:
                        each.wait(_STOP_SECONDS)
                    except psutil.TimeoutExpired:
                        each.kill()

    @property
    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.poll() is None

    def _listens(self) -> bool:
        """Tell whether the port is its own, and not another's that held it before."""
        if self._process is None:
            return False
        try:
            found = psutil.Process(self._process.pid).net_connections("tcp")
        except psutil.Error:
            return False
        return any(e.status == psutil.CONN_LISTEN and e.laddr.port == self.port for e in found)

    def stop(self) -> None:
        """Ask it to end, and see to it that it does."""
        if self._process is not None:
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)
            self._process = None

"""Where a stack keeps what, below one state folder."""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kernel.errors import ConfigurationError, DependencyUnavailableError

_MARK = ".nplusx-state"
_LEAST_FREE_BYTES = 300 << 20
# A socket path holds 107 bytes; the supervisor first makes one with a process id behind it.
_SOCKET_PATH_LIMIT = 90
_UNREADABLE = frozenset("\n\r;\"'")
_VARIABLE = "NPLUSX_STATE_DIR"


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of one state folder."""

    state: Path

    @property
    def logs(self) -> Path:
        """Hold one log per program."""
        return self.state / "logs"

    @property
    def stack(self) -> Path:
        """Hold what the supervisor and the launcher read."""
        return self.state / "stack"

    @property
    def specs(self) -> Path:
        """Hold one file per program."""
        return self.stack / "programs"

    @property
    def configuration(self) -> Path:
        """Name the supervisor's configuration."""
        return self.stack / "supervisord.conf"

    @property
    def pid_file(self) -> Path:
        """Name the supervisor's process id file."""
        return self.stack / "supervisord.pid"

    @property
    def ports(self) -> Path:
        """Name the record of chosen ports."""
        return self.state / "ports.json"

    @property
    def agents(self) -> Path:
        """Hold one YAML file per resident agent."""
        return self.state / "agents"

    @property
    def secrets(self) -> Path:
        """Hold generated keys and passwords."""
        return self.state / "secrets"

    @property
    def kafka(self) -> Path:
        """Hold the broker's configuration and data."""
        return self.state / "kafka"

    @property
    def county(self) -> Path:
        """Hold the demo's simulated county: its systems, and the truth about it."""
        return self.state / "county"

    @property
    def county_sources(self) -> Path:
        """Name the list of the county's systems, which is there once all of them are loaded."""
        return self.county / "sources.json"

    @property
    def airflow(self) -> Path:
        """Be Airflow's home."""
        return self.state / "airflow"

    @property
    def socket(self) -> Path:
        """Name the supervisor's socket; a deep state folder gets a short one elsewhere."""
        path = self.stack / "supervisor.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
            return path
        name = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:16]
        return Path("/", "tmp", f"nplusx-{os.geteuid()}-{name}", "supervisor.sock")

    def log(self, name: str) -> Path:
        """Name the log of a program."""
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Make the folders; say clearly what stands in the way."""
        if _UNREADABLE & set(str(self.state)):
            raise ConfigurationError(
                "The state folder's name holds a quote, a semicolon or a line break.",
                where=str(self.state),
                cure=f"set {_VARIABLE} to a folder with a plainer name.",
            )
        with readable_disk_errors(self.state):
            # Others may pass, not look: an unprivileged database lives below.
            self.state.mkdir(mode=0o711, parents=True, exist_ok=True)
            (self.state / _MARK).touch(mode=0o600)
            for folder in (self.logs, self.stack, self.specs, self.agents, self.secrets):
                folder.mkdir(mode=0o700, exist_ok=True)
            self._make_socket_folder()
            free = shutil.disk_usage(self.state).free
        if free < _LEAST_FREE_BYTES:
            raise DependencyUnavailableError(
                f"The disk of the state folder is nearly full: {free >> 20} MiB are free, "
                f"{_LEAST_FREE_BYTES >> 20} are needed.",
                where=str(self.state),
                cure=f"make room, or set {_VARIABLE} to a folder on another disk.",
            )

    def write_private(self, path: Path, content: bytes) -> None:
        """Write a file as a whole, readable by its owner only."""
        fresh = path.with_name(path.name + ".new")
        with readable_disk_errors(path):
            fresh.unlink(missing_ok=True)
            with os.fdopen(
                os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb"
            ) as out:
                out.write(content)
            fresh.replace(path)

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """Read a generated secret; the first time, make and keep it."""
        path = self.secrets / name
        if not path.exists():
            self.write_private(path, make().encode())
        return path.read_text(encoding="utf-8")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one start or stop of this stack happen at a time."""
        with readable_disk_errors(self.state):
            self.stack.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.stack / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def claim(self, *, alone: bool) -> int | None:
        """Take the folder, for a demo alone or beside other starts; nothing if it is taken."""
        with readable_disk_errors(self.state):
            handle = os.open(self.stack / "claim", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        return handle

    def claimant(self) -> int:
        """Give the process that took the folder last."""
        return int((self.stack / "claim").read_text(encoding="utf-8") or 0)

    def purge(self) -> None:
        """Remove the state folder, and nothing that is not one."""
        if not self.state.exists():
            return
        if not (self.state / _MARK).exists():
            raise ConfigurationError(
                "This folder was not made by nplusx, so it is not removed.",
                where=str(self.state),
                cure=f"check {_VARIABLE}, or remove the folder by hand.",
            )
        with readable_disk_errors(self.state):
            shutil.rmtree(self.state)

    def clear_socket(self) -> None:
        """Remove the socket, and its folder if that is elsewhere."""
        if self.socket.parent != self.stack:
            shutil.rmtree(self.socket.parent, ignore_errors=True)
        else:
            self.socket.unlink(missing_ok=True)

    def _make_socket_folder(self) -> None:
        folder = self.socket.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            raise ConfigurationError(
                "The folder for the supervisor's socket belongs to somebody else.",
                where=str(folder),
                cure=f"remove it, or set {_VARIABLE} to a shorter path.",
            )


@contextmanager
def readable_disk_errors(where: Path) -> Iterator[None]:
    """Turn what the disk refuses into an error with a cure."""
    try:
        yield
    except OSError as refused:
        if refused.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DependencyUnavailableError(
                "The disk is full.", where=str(where), cure="make room, then run it again."
            ) from refused
        raise ConfigurationError(
            f"The state folder cannot be used: {refused.strerror}.",
            where=str(refused.filename or where),
            cure=f"set {_VARIABLE} to a folder that this account may write.",
        ) from refused

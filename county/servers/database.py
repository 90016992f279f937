"""What database servers have in common: an account, a port, two users with passwords in files."""

from pathlib import Path

from county.servers import programs
from county.servers.programs import LOOPBACK, Child

OWNER, READER = "owner", "reader"


class Database:
    """A server of databases: the owner fills them, the reader reads."""

    scheme = ""
    # Who runs it where we are root.
    account = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._account = programs.unprivileged(self.account)
        programs.give(folder, self._account)
        self.port = programs.port(folder / "port")
        self._passwords = {
            each: programs.secret(folder / f"{each}.password") for each in (OWNER, READER)
        }
        self.reader_file = folder / f"{READER}.password"
        self._child: Child

    def start(self) -> None:
        """Make the server's files once, and start it."""
        raise NotImplementedError

    def database(self, name: str) -> str:
        """Make an empty database unless it is there, which a reader may read; give its address."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it; whoever is connected is cut off."""
        self._child.stop()

    @property
    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return self._child.is_alive

    def kill(self) -> None:
        """End it as a power cut does."""
        self._child.kill()

    def address(self, database: str, user: str = OWNER, password: str = "") -> str:
        """Give the address of a database; with another password, or a variable in its place."""
        password = password or self._passwords[user]
        return f"{self.scheme}://{user}:{password}@{LOOPBACK}:{self.port}/{database}"

"""How rows stand in a file, and who logs in where for it."""

from collections.abc import Mapping
from dataclasses import dataclass


class UnreadableError(Exception):
    """The file is not what its stream says; the text says where."""


class UnopenedError(Exception):
    """The file is gone, or another program's; the text says which."""


@dataclass(frozen=True, slots=True)
class Form:
    """How rows stand in a file."""

    # csv, excel or xml.
    kind: str
    # Lines above the one that names the columns.
    skip: int = 0
    # The sheet of a workbook; the first one.
    sheet: str = ""
    # Of XML: the element of a row, as a path from its root; and what of its root each row bears.
    row: str = ""
    bears: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """A server, the key that it must show, who logs in there, and the folder that is read."""

    host: str
    port: int
    # As in a file `known_hosts`: the type and the key in base64.
    host_key: str
    user: str
    password: str
    key_file: str
    folder: str

    @property
    def shown(self) -> str:
        """Name the place without its secret."""
        return f"sftp://{self.user}@{self.host}:{self.port}/{self.folder}"

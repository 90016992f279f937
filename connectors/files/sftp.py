"""The one door to paramiko: a folder behind SFTP, on a server that shows the agreed key."""

import socket
import stat
from collections.abc import Callable, Iterator
from threading import Timer
from typing import BinaryIO, Protocol, TypeVar, cast

import paramiko

from connectors.files.forms import Login, UnopenedError
from connectors.files.places import DEEPEST, Listed
from kernel.errors import ConfigurationError, DependencyUnavailableError

_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_Told = TypeVar("_Told")


class _Ask(Protocol):
    def __call__(self, work: Callable[[paramiko.SFTPClient], bytes], /) -> bytes: ...


class _Wire:
    """A file behind the wire: what breaks while it is read is told as when it is opened."""

    def __init__(self, file: paramiko.SFTPFile, ask: "_Ask") -> None:
        self._file, self._ask = file, ask

    def read(self, size: int = -1) -> bytes:
        return self._ask(lambda _client: self._file.read(None if size < 0 else size))

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()


class Sftp:
    """A folder behind SFTP; a connection that failed is made anew by the next question."""

    def __init__(self, login: Login) -> None:
        self._login, self._root = login, login.folder.rstrip("/") or "."
        self._transport: paramiko.Transport | None = None
        self._client: paramiko.SFTPClient | None = None

    @property
    def product(self) -> str:
        """Give what the server called itself when it was last met."""
        return "" if self._transport is None else str(self._transport.remote_version)

    def files(self) -> Iterator[Listed]:
        """List the files, those of folders inside too."""
        yield from self._ask(lambda client: list(self._walk(client, "", 0)))

    def _walk(self, client: paramiko.SFTPClient, before: str, depth: int) -> Iterator[Listed]:
        for each in sorted(client.listdir_attr(self._at(before)), key=lambda e: e.filename):
            name, mode = before + each.filename, each.st_mode or 0
            if stat.S_ISDIR(mode) and depth < DEEPEST:
                yield from self._walk(client, f"{name}/", depth + 1)
            elif stat.S_ISREG(mode):
                yield Listed(name, each.st_size or 0, float(each.st_mtime or 0))

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; what comes next of it is asked for ahead."""

        def work(client: paramiko.SFTPClient) -> BinaryIO:
            try:
                file = client.open(self._at(name), "rb")
            except (FileNotFoundError, PermissionError) as refused:
                raise UnopenedError(refused.strerror or "the server refuses it") from refused
            file.prefetch()
            return cast("BinaryIO", _Wire(file, self._ask))

        return self._ask(work)

    def move(self, name: str, to: str) -> None:
        """Move a file within the place, making folders; one that is there already is replaced."""

        def work(client: paramiko.SFTPClient) -> None:
            folder, _, _ = to.rpartition("/")
            for end in [at for at, sign in enumerate(f"{folder}/") if sign == "/" and folder]:
                _make(client, self._at(folder[:end]))
            client.posix_rename(self._at(name), self._at(to))

        self._ask(work)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")

    def _ask(self, work: Callable[[paramiko.SFTPClient], _Told]) -> _Told:
        try:
            if self._client is None:
                self._client = self._connect()
            return work(self._client)
        except FileNotFoundError as gone:
            raise DependencyUnavailableError(
                "The folder or a file of it is not on the server.",
                where=self._login.shown,
                cure="correct the source's folder.",
            ) from gone
        except (OSError, EOFError, paramiko.SSHException) as failed:
            self.close()
            raise DependencyUnavailableError(
                f"The SFTP server cannot be read: {str(failed) or 'no answer'}.",
                where=self._login.shown,
                cure="check that it runs, its host and port, and the user's rights.",
            ) from failed

    def _connect(self) -> paramiko.SFTPClient:
        login = self._login
        wire = socket.create_connection((login.host, login.port), _SECONDS)
        self._transport = transport = paramiko.Transport(wire)
        # A wire that died without a word is noticed, and no answer is waited for for ever.
        transport.set_keepalive(int(_SECONDS))
        giving_up = Timer(_ANSWER_SECONDS, transport.close)
        giving_up.daemon = True
        giving_up.start()
        try:
            return self._let_in(transport)
        finally:
            giving_up.cancel()

    def _let_in(self, transport: paramiko.Transport) -> paramiko.SFTPClient:
        login = self._login
        transport.start_client(timeout=_SECONDS)
        shown = transport.get_remote_server_key()
        if f"{shown.get_name()} {shown.get_base64()}" != login.host_key.strip():
            self.close()
            raise ConfigurationError(
                "The SFTP server shows another key than the one that was agreed on.",
                where=login.shown,
                cure="ask its owner; then write the new key, as `ssh-keyscan` shows it, into "
                "the source's host_key.",
            )
        try:
            if login.key_file:
                transport.auth_publickey(login.user, _key(login))
            else:
                transport.auth_password(login.user, login.password)
        except paramiko.AuthenticationException as refused:
            self.close()
            raise ConfigurationError(
                "The SFTP server refuses the user or the password.",
                where=login.shown,
                cure="correct the user, and the password or the key_file.",
            ) from refused
        client = paramiko.SFTPClient.from_transport(transport)
        if client is None:
            raise EOFError("it opens no channel")
        if (channel := client.get_channel()) is not None:
            channel.settimeout(_ANSWER_SECONDS)
        return client

    def close(self) -> None:
        """Let go of the connection."""
        if self._transport is not None:
            self._transport.close()
        self._transport = self._client = None


def _make(client: paramiko.SFTPClient, folder: str) -> None:
    try:
        client.stat(folder)
    except FileNotFoundError:
        client.mkdir(folder)


def _key(login: Login) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(login.key_file)
    except (OSError, ValueError, paramiko.SSHException) as wrong:
        raise ConfigurationError(
            f"The key for the SFTP server cannot be read: {wrong}.",
            where=login.key_file,
            cure="name a private key in OpenSSH form that the agent's user may read.",
        ) from wrong

"""An SFTP server: each factory's user sees that factory's folder and nothing else."""

from collections.abc import Mapping
from pathlib import Path

import asyncssh
from typing_extensions import override

from county.servers import programs
from county.servers.programs import LOOPBACK

_BACKLOG = 20


class _Door(asyncssh.SSHServer):
    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = passwords

    @override
    def password_auth_supported(self) -> bool:
        return True

    @override
    def validate_password(self, username: str, password: str) -> bool:
        return password != "" and self._passwords.get(username) == password


class Sftp:
    """A server in this process; the key of the host stays the same."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self.port = programs.port(folder / "port")
        self._roots: dict[str, Path] = {}
        self._passwords: dict[str, str] = {}
        key = folder / "host_key"
        if not key.exists():
            asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(key))
        self._key = asyncssh.read_private_key(str(key))

    @property
    def host_key(self) -> str:
        """Give the public key of the host, as an agent's file names it."""
        return " ".join(self._key.export_public_key().decode().split()[:2])

    def password_file(self, user: str) -> Path:
        """Name the file of a user's password."""
        return self._folder / f"{user}.password"

    def let_in(self, user: str, root: Path) -> None:
        """Open a folder to a user."""
        self._roots[user] = root
        self._passwords[user] = programs.secret(self.password_file(user))

    def _files(self, channel: "asyncssh.SSHServerChannel[bytes]") -> asyncssh.SFTPServer:
        root = self._roots[channel.get_extra_info("username")]
        return asyncssh.SFTPServer(channel, chroot=str(root).encode())

    async def start(self) -> asyncssh.SSHAcceptor:
        """Let users in until what is given is closed."""
        return await asyncssh.create_server(
            lambda: _Door(self._passwords), LOOPBACK, self.port, backlog=_BACKLOG,
            server_host_keys=[self._key], sftp_factory=self._files,
        )  # fmt: skip

"""An SFTP server of asyncssh in a process of its own: `python sftp_server.py PORT FOLDER KEY`."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncssh

USER, PASSWORD = "factory", "sesame"
# With a file of this name in the folder it stops where it stands when it should open the folder.
STOP = "stop"


class Door(asyncssh.SSHServer):
    """Lets in whom it knows."""

    def begin_auth(self, _username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


async def serve(port: int, folder: Path, key: Path) -> None:
    def files(channel: asyncssh.SSHServerChannel) -> asyncssh.SFTPServer:
        if (folder / STOP).exists():
            os.kill(os.getpid(), signal.SIGSTOP)
        return asyncssh.SFTPServer(channel, chroot=str(folder).encode())

    server = await asyncssh.create_server(
        Door, "127.0.0.1", port, server_host_keys=[str(key)], sftp_factory=files
    )
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))

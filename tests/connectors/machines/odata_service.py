"""The county's CAP server on a test's PostgreSQL; its tables are filled at will."""

from pathlib import Path

import psycopg
from typing_extensions import override

from county.servers.cap import READER, Cap
from tests.servers import PostgresServer


class Service(Cap):
    """A service; it can be stopped and started again on the same port and database."""

    def __init__(self, folder: Path, postgres: PostgresServer) -> None:
        (folder / f"{READER}.password").write_text("sesame", "utf-8")
        self.url = postgres.fresh()
        super().__init__(folder, self.url)
        self.deploy()

    @override
    def stop(self) -> None:
        """End it as a power cut does."""
        self.kill()

    def run(self, query: str, *values: object) -> None:
        """Change what is behind the service."""
        with psycopg.connect(self.url) as db:
            db.execute(query, values)

"""Real database servers for the county's ERPs."""

from collections.abc import Iterator

import pytest

from tests.servers import MariaServer, PostgresServer, running


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start a server once."""
    with running(PostgresServer) as started:
        yield started


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaServer]:
    """Start a server once."""
    with running(MariaServer) as started:
        yield started

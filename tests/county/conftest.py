"""Real database servers for the county's ERPs."""

from collections.abc import Iterator

import pytest

from tests import mariadb as mariadb_server
from tests.postgres import Server, running_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Start a server once."""
    with running_server() as started:
        yield started


@pytest.fixture(scope="session")
def mariadb() -> Iterator[mariadb_server.Server]:
    """Start a server once."""
    with mariadb_server.running_server() as started:
        yield started

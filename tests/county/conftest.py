"""One real database server for the county's ERP."""

from collections.abc import Iterator

import pytest

from tests.postgres import Server, running_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Start a server once."""
    with running_server() as started:
        yield started

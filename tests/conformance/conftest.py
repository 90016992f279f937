"""One real broker for the conformance tests."""

from collections.abc import Iterator

import pytest

from tests.broker import Broker, running_broker


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Start a broker once."""
    with running_broker(tmp_path_factory.mktemp("kafka")) as started:
        yield started

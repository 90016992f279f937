"""The story, played once and left standing for every test that looks at it."""

from collections.abc import Iterator

import pytest

from tests.flow.stage import PLAYED, Demo


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    made = Demo()
    made.start()
    try:
        made.wait_for(PLAYED, 400)
        yield made
    finally:
        made.clear()

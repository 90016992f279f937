"""A registry of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.database import Registry, migrate, open_registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """Make an empty registry on SQLite."""
    made = open_registry(f"sqlite:///{tmp_path / 'new' / 'registry.sqlite'}")
    migrate(made)
    yield made
    made.close()

"""A played county, once for all tests that only read it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.site import Site
from tests.pipeline.world import World, play


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = World(tmp_path_factory.mktemp("county"), monkeypatch)
        play(made)
        yield made


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(tmp_path))
    return Site(tmp_path)

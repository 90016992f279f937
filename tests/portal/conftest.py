"""A played county behind its portal, once for each module of tests that only look."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI

from pipeline.settings import Settings
from portal.app import create_app
from tests.portal.county import Site, Visitor, play_county

LogIn = Callable[[str], Visitor]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = Site(tmp_path_factory.mktemp("portal"), monkeypatch)
        play_county(made)
        yield made


@pytest.fixture(scope="module")
def portal(site: Site) -> FastAPI:
    return create_app()


@pytest.fixture
def settings(site: Site) -> Settings:
    return site.settings


@pytest.fixture
def as_user(portal: FastAPI) -> LogIn:
    """Log a user in."""

    def log_in(name: str) -> Visitor:
        visitor = Visitor(portal)
        assert visitor.log_in(name).status_code == 303
        return visitor

    return log_in

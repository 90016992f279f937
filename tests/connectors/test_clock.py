"""How far a source's clock is from ours: told with a bound that holds, or why it is not known."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from connectors.base import Connector, Source
from connectors.kinds.cdc import CdcConnector, CdcSource
from connectors.kinds.files import FilesConnector, FilesSource
from connectors.kinds.sql import SqlConnector, SqlSource
from kernel import clock
from kernel.errors import DependencyUnavailableError
from kernel.ids import SourceId
from kernel.skew import Clock
from tests.connectors.machines import opcua_reading as opcua
from tests.connectors.machines.processes import until
from tests.connectors.web.server import Answer, Asked, serving
from tests.connectors.web.shelf import Shelf, open_at, plan_of

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
BEHIND = timedelta(hours=2)


def holds(told: Clock | str, skew: float = 0) -> bool:
    return isinstance(told, Clock) and abs(told.skew_seconds - skew) <= told.bound_seconds


def test_a_clock_is_compared_with_the_middle_of_the_question() -> None:
    asked, answered = NOON, NOON + timedelta(seconds=0.4)
    told = Clock.between(asked, NOON + timedelta(seconds=3), answered)
    assert told == Clock(pytest.approx(2.8), pytest.approx(0.2))
    # One that shows whole seconds may be nearly one further.
    told = Clock.between(asked, NOON, answered, step_seconds=1)
    assert told == Clock(pytest.approx(0.3), pytest.approx(0.7))


@contextmanager
def answering(**headers: str) -> Iterator[Connector[object]]:
    shelf = Shelf("page")
    shelf.fill(1)

    def says(asked: Asked) -> Answer:
        now = format_datetime(clock.now() - BEHIND, usegmt=True)
        return Answer(shelf(asked).body, headers={"Date": now} | headers)

    with serving(says) as server, closing(open_at(server, Path())) as made:
        yield made


@pytest.mark.real_system
class TestRealClocks:
    """What only a source's own clock tells."""

    def test_an_answer_over_http_bears_a_date(self) -> None:
        with answering() as made:
            assert "borne a date" in str(made.clock())
            made.sample(plan_of("page"))
            assert holds(made.clock(), -BEHIND.total_seconds())

    def test_the_date_of_what_a_proxy_had_kept_is_not_the_time(self) -> None:
        with answering(Age="7200") as made:
            made.sample(plan_of("page"))
            assert "borne a date" in str(made.clock())

    @pytest.mark.parametrize("server", ["postgres", "mariadb", "mysql"])
    def test_a_database_server_is_asked(self, request: pytest.FixtureRequest, server: str) -> None:
        url = request.getfixturevalue(server).fresh()
        for made in (
            SqlConnector(Source(SourceId("s"), "none", SqlSource(url))),
            CdcConnector(Source(SourceId("s"), "none", CdcSource(url))),
        ):
            with closing(made):
                assert holds(made.clock())

    def test_an_opcua_server_is_asked_in_the_session_that_there_is(self, tmp_path: Path) -> None:
        with opcua.running(tmp_path) as server, closing(opcua.connector(opcua.url(server))) as made:
            assert "not connected" in str(made.clock())
            made.sample(opcua.plan())
            assert holds(made.clock())
            server.kill()

            def is_gone() -> bool:
                with suppress(DependencyUnavailableError):
                    return isinstance(made.clock(), str)
                return False

            until(is_gone, "a session that is gone")


@pytest.mark.parametrize("dialect", ["sqlite", "duckdb"])
def test_a_file_has_no_clock(dialect: str, tmp_path: Path) -> None:
    way = SqlSource(f"{dialect}:///{tmp_path / 'file'}")
    with closing(SqlConnector(Source(SourceId("s"), "none", way))) as made:
        assert "file" in str(made.clock())


def test_a_folder_has_no_clock(tmp_path: Path) -> None:
    way = FilesSource(str(tmp_path), None, "")
    with closing(FilesConnector(Source(SourceId("s"), "none", way))) as made:
        assert "Files tell when" in str(made.clock())

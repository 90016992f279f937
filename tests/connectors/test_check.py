"""What a source says that it is, by name and release, in one line; who says nothing is let be."""

from contextlib import closing
from pathlib import Path

import pytest

from connectors.base import Connector, Source
from connectors.check import product_of
from connectors.kinds.cdc import CdcConnector, CdcSource
from connectors.kinds.sql import SqlConnector, SqlSource
from kernel.ids import SourceId
from tests.connectors.machines import opcua_reading as opcua
from tests.connectors.web.server import Answer, Asked, serving
from tests.connectors.web.shelf import Shelf, open_at, plan_of


def sql(url: str) -> Connector[object]:
    return SqlConnector(Source(SourceId("s"), "none", SqlSource(url)))


@pytest.mark.real_system
@pytest.mark.parametrize(
    ("server", "name"),
    [("postgres", "PostgreSQL 1"), ("mariadb", "MariaDB"), ("mysql", "MySQL Community Server")],
)
def test_a_database_server_is_asked(request: pytest.FixtureRequest, server: str, name: str) -> None:
    url = request.getfixturevalue(server).fresh()
    for made in (sql(url), CdcConnector(Source(SourceId("s"), "none", CdcSource(url)))):
        with closing(made):
            assert name in product_of(made)
    with closing(sql(url.replace("owner:", "owner:not-"))) as refused:
        assert product_of(refused) == ""


@pytest.mark.parametrize("dialect", ["sqlite", "duckdb"])
def test_a_file_is_nobody(dialect: str, tmp_path: Path) -> None:
    with closing(sql(f"{dialect}:///{tmp_path / 'file'}")) as made:
        assert product_of(made) == ""


@pytest.mark.real_system
def test_an_answer_over_http_bears_a_name_which_is_one_short_line() -> None:
    shelf = Shelf("page")
    shelf.fill(1)

    def says(asked: Asked) -> Answer:
        return Answer(shelf(asked).body, headers={"Server": "Acme ERP/7.1\t" + "x" * 300})

    with serving(says) as server, closing(open_at(server, Path())) as made:
        assert product_of(made) == ""
        made.sample(plan_of("page"))
        assert product_of(made) == "Acme ERP/7.1 " + "x" * 87


@pytest.mark.real_system
def test_an_opcua_server_is_asked_in_the_session_that_there_is(tmp_path: Path) -> None:
    with opcua.running(tmp_path) as server, closing(opcua.connector(opcua.url(server))) as made:
        assert product_of(made) == ""
        made.sample(opcua.plan())
        assert product_of(made) == "FreeOpcUa Python Server 1.0pre"

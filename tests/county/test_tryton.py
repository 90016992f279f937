"""A factory in a real Tryton: what an agent reads there is what the truth says, row by row."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.base import Source
from connectors.kinds.rest import RestSource
from connectors.web.way import Way
from county import tryton
from county.books import make_books
from county.servers.tryton import READER, Tryton
from county.shape import as_arrow, tables
from county.truth import SEED
from county.world import factories, period
from kernel.ids import SourceId
from tests.county.judging import judged, require_true

pytestmark = pytest.mark.real_system
FACTORY = factories(2, ("yonyou_u8", "tryton"))[1]
BOOKS = make_books(FACTORY, period(6), SEED)
tryton.as_told(BOOKS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tryton]:
    made = Tryton(tmp_path_factory.mktemp("tryton"))
    made.load("one", tables(FACTORY, "tryton", as_arrow(BOOKS)))
    made.start()
    yield made
    made.stop()


def source(server: Tryton, database: str, memory: Path) -> Source[object]:
    login = {"user": READER, "password": server.password_file.read_text("utf-8")}
    way = RestSource(Way(server.address(database), login, requests_per_second=1000))
    return Source(SourceId("s"), "tryton", way, memory=memory)


def test_what_is_read_is_the_truth_row_by_row(server: Tryton, tmp_path: Path) -> None:
    good, refused = judged(source(server, "one", tmp_path))
    assert refused == set()
    assert {n: r.num_rows for n, r in good.items()} == {n: len(BOOKS[n]) for n in good}
    require_true(good, BOOKS, ())

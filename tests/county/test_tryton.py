"""A factory in a real Tryton: what an agent reads there is what the truth says, row by row."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.base import Source
from connectors.kinds.rest import RestSource
from connectors.registry import find, open_source
from connectors.web.way import Way
from county import later, sources
from county.faults import FAULTS, LATE, key_of
from county.generate import Asked, County
from county.servers import tryton
from county.servers.tryton import READER, Tryton
from county.shape import as_arrow, tables
from county.truth import SEED, landed
from county.world import factories
from kernel.errors import DependencyUnavailableError
from kernel.ids import SourceId
from tests.connectors.reading import read_all
from tests.county.judging import judged, require_true

pytestmark = pytest.mark.real_system
COUNTY = County(Asked(2, 4, SEED, dict.fromkeys(FAULTS, 2)))
FACTORY = factories(2, ("yonyou_u8", sources.TRYTON))[1]
HELD = COUNTY.make(FACTORY)
LATE_KEYS = {(each.contract, each.key) for each in HELD.planted if each.fault == LATE}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("later")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Tryton]:
    whole = as_arrow(HELD.books)
    early = later.early(whole, HELD.planted)
    later.write(folder, FACTORY, HELD.planted, whole, early)
    made = Tryton(tmp_path_factory.mktemp("tryton"))
    made.load("one", tables(FACTORY, FACTORY.system, early))
    made.start()
    yield made
    made.stop()


def source(server: Tryton, memory: Path) -> Source[object]:
    login = {"user": READER, "password": server.password_file.read_text("utf-8")}
    way = RestSource(Way(server.address("one"), login, requests_per_second=1000))
    return Source(SourceId("s"), sources.TRYTON, way, memory=memory)


def test_what_is_planted_is_what_a_tryton_can_hold() -> None:
    told = {(each.fault, each.contract) for each in HELD.planted if each.contract in served()}
    assert told == {
        (LATE, "erp.delivery.v1"), (LATE, "erp.stock_move.v1"),
        ("missing_number", "erp.delivery.v1"), ("missing_number", "erp.stock_move.v1"),
        ("short_number", "erp.sales_invoice.v1"),
        ("wrong_unit", "srm.delivery.v1"), ("wrong_unit", "erp.stock_move.v1"),
    }  # fmt: skip


def served() -> set[str]:
    return {plan.contract for plan in find(sources.TRYTON).streams}


def test_what_is_read_is_the_truth_row_by_row(server: Tryton, folder: Path, tmp_path: Path) -> None:
    connector = open_source(source(server, tmp_path))
    plans = find(sources.TRYTON).streams
    first = {each.contract: read_all(connector, each) for each in plans}
    keys = {(name, key_of(name, row)) for name, (rows, _) in first.items() for row in rows}
    assert not keys & LATE_KEYS
    server.append("one", later.tables(folder))
    for plan in plans:
        again, _ = read_all(connector, plan, first[plan.contract][1])
        named = {(plan.contract, key_of(plan.contract, row)) for row in again}
        assert named == {each for each in LATE_KEYS if each[0] == plan.contract}
    connector.close()
    good, refused = judged(source(server, tmp_path / "second"))
    mine = [each for each in HELD.planted if each.contract in good]
    assert refused == {(p.contract, p.key, p.reason) for p in mine if p.reason} != set()
    assert {n: r.num_rows for n, r in good.items()} == landed(HELD.books, mine, good)
    require_true(good, HELD.books, mine)


def test_whoever_reads_may_not_write(server: Tryton, tmp_path: Path) -> None:
    (orders,) = (e for e in find(sources.TRYTON).streams if e.contract == "erp.sales_order.v1")
    body = {"id": 1, "method": "model.sale.sale.write", "params": [[1001], {"number": "X"}, {}]}
    how = replace(orders.how, ask=replace(orders.how.ask, body=body))
    connector = open_source(source(server, tmp_path))
    with pytest.raises(DependencyUnavailableError, match="not allowed"):
        connector.read(replace(orders, how=how), None)
    connector.close()


def test_where_tryton_is_not_the_cure_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tryton.sys, "prefix", str(tmp_path))
    with pytest.raises(DependencyUnavailableError, match="make setup"):
        tryton.template()

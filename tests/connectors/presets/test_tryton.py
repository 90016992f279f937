"""The preset of Tryton against the real server: what it holds lands, and what changes later too."""

import base64
import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from connectors.base import Source, StreamPlan
from connectors.check import check
from connectors.kinds.rest import RestConnector, RestSource
from connectors.registry import find
from connectors.web.way import Way
from contracts.loader import find as contract
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import SourceId
from tests.connectors.machines.landing import agent_of, landed
from tests.connectors.reading import mapped, read_all
from tests.connectors.tryton.server import ADMIN, ORDERS, PASSWORD, STRANGER, Tryton
from tests.pipeline.world import World

pytestmark = pytest.mark.real_system
STREAMS = find("tryton").streams


@pytest.fixture(scope="module")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tryton]:
    server = Tryton(tmp_path_factory.mktemp("tryton") / "erp")
    server.start()
    yield server
    server.kill()


def connector(tryton: Tryton, memory: Path, *, user: str = ADMIN, key: str = PASSWORD, **more: int):
    way = Way(tryton.root, {"user": user, "password": key}, requests_per_second=1000)
    return RestConnector(Source(SourceId("erp"), "tryton", RestSource(way, **more), memory=memory))


def plan(name: str) -> StreamPlan[object]:
    return next(each for each in STREAMS if each.contract == name)


def call(tryton: Tryton, method: str, *params: object) -> object:
    pair = base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
    asked = urllib.request.Request(
        f"{tryton.root}rpc/",
        json.dumps({"id": 1, "method": method, "params": [*params, {}]}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Basic {pair}"},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(asked) as answer:
        return json.load(answer)["result"]


def test_every_stream_fits_the_server(tryton: Tryton, tmp_path: Path) -> None:
    erp = connector(tryton, tmp_path)
    found = list(check(erp, STREAMS, "Asia/Shanghai"))
    erp.close()
    assert len(found) == len(STREAMS)
    for each in found:
        assert each.columns, each
        assert not each.problem, each
        required = {column.name for column in contract(each.subject).properties if column.required}
        assert required <= set(each.columns)


def test_the_whole_factory_lands(
    tryton: Tryton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "county", monkeypatch)
    monkeypatch.setenv("NPLUSX_ERP_PASSWORD", PASSWORD)
    source = f"- id: erp\n  preset: tryton\n  address: {tryton.root}\n  page_rows: 3\n"
    source += f"  login: {{user: {ADMIN}, password: '${{NPLUSX_ERP_PASSWORD}}'}}\n"
    source += "  requests_per_second: 1000\n"
    agent = agent_of(world, tmp_path, source, *(each.contract for each in STREAMS))
    report = agent.round(Event())
    assert report.is_clean, report
    rows = {each.contract: landed(world, each.contract) for each in STREAMS}
    assert agent.round(Event()).is_clean
    agent.close()
    assert {name: len(found) for name, found in rows.items()} == {
        "erp.product.v1": 3, "erp.bom.v1": 2,
        # Pages of three: who trades is told once a page.
        "erp.customer.v1": 2, "srm.supplier.v1": 2,
        "erp.sales_order.v1": ORDERS, "erp.sales_order_line.v1": ORDERS, "erp.delivery.v1": 1,
        "erp.sales_invoice.v1": 1,
        "srm.purchase_order.v1": ORDERS, "srm.purchase_order_line.v1": 2 * ORDERS,
        "srm.delivery.v1": 2,
        "erp.stock_move.v1": 12, "mes.work_order.v1": ORDERS,
    }  # fmt: skip
    _require_true(rows)


def _require_true(rows: dict[str, list[dict[str, object]]]) -> None:
    """Compare what landed with what the factory was filled with."""
    product = rows["erp.product.v1"][0]
    assert (product["product_code"], product["product_name"]) == ("RM-0", "板材 0 🪵")
    assert [row["product_kind"] for row in rows["erp.product.v1"]] == [
        "raw_material", "raw_material", "finished",
    ]  # fmt: skip
    assert [(row["parent_code"], row["component_code"], str(row["component_qty"]))
            for row in rows["erp.bom.v1"]] == [
        ("FG-0", "RM-0", "1.000000"), ("FG-0", "RM-1", "2.250000"),
    ]  # fmt: skip
    assert [str(row["line_net_amount"]) for row in rows["erp.sales_order_line.v1"]] == [
        "99.99", "199.98", "299.97", "399.96",
    ]  # fmt: skip
    assert [(row["status"], str(row["good_qty"])) for row in rows["mes.work_order.v1"]] == [
        ("released", "0.0000"), ("finished", "5.0000"),
    ] * 2  # fmt: skip
    (invoice,) = rows["erp.sales_invoice.v1"]
    wanted = ("line_no", "net_amount", "tax_rate", "tax_amount", "product_code", "order_line_id")
    assert [str(invoice[name]) for name in wanted] == ["1", "99.99", "0.1300", "13.00", "FG-0", "1"]
    delivered = rows["erp.delivery.v1"][0]
    assert (delivered["order_line_id"], str(delivered["delivered_qty"])) == ("1", "1.0000")
    assert {row["supplier_code"] for row in rows["srm.delivery.v1"]} == {
        row["supplier_code"] for row in rows["srm.supplier.v1"]
    }
    kinds = Counter(row["move_kind"] for row in rows["erp.stock_move.v1"])
    assert kinds == {
        "count": 3, "purchase_receipt": 2, "sales_issue": 1, "material_issue": 4,
        "production_receipt": 2,
    }  # fmt: skip


def test_what_changes_comes_once_more_and_nothing_else(tryton: Tryton, tmp_path: Path) -> None:
    erp, lines = connector(tryton, tmp_path, page_rows=2), plan("srm.purchase_order_line.v1")
    first, cursor = read_all(erp, lines)
    assert len(first) == 2 * ORDERS
    assert read_all(erp, lines, cursor)[0] == []
    call(tryton, "model.purchase.line.write", [3], {"note": "后补"})
    rows, cursor = read_all(erp, lines, cursor)
    assert [row["purchase_order_line_id"] for row in rows] == ["3"]
    # A change of the head is one of its lines.
    call(tryton, "model.purchase.purchase.write", [4], {"reference": "改"})
    rows, cursor = read_all(erp, lines, cursor)
    assert {row["purchase_order_id"] for row in rows} == {"4"}
    assert len(rows) == 2
    erp.close()


def test_every_cursor_goes_on_without_loss_or_doubles(tryton: Tryton, tmp_path: Path) -> None:
    moves = plan("erp.stock_move.v1")
    erp = connector(tryton, tmp_path, page_rows=4)
    whole, _ = read_all(erp, moves)
    cursor, before = None, []
    for _ in range(20):
        page = erp.read(moves, cursor)
        # Killed behind this page, another agent goes on from the cursor that was kept.
        fresh = connector(tryton, tmp_path, page_rows=4)
        if (table := mapped(page, moves)) is not None:
            before += table.to_pylist()
        if page.more:
            assert [*before, *read_all(fresh, moves, page.cursor)[0]] == whole
        fresh.close()
        cursor = page.cursor
        if not page.more:
            break
    assert before == whole
    erp.close()


def test_a_server_that_dies_and_comes_back_is_read_on(tmp_path: Path) -> None:
    server = Tryton(tmp_path / "erp")
    server.start()
    erp, lines = connector(server, tmp_path, page_rows=3), plan("srm.purchase_order_line.v1")
    page = erp.read(lines, None)
    server.kill()
    with pytest.raises(DependencyUnavailableError, match="cannot be reached"):
        erp.read(lines, page.cursor)
    server.start()
    # The session is in its database; had it been lost, the agent would log in anew.
    call(server, "model.purchase.line.write", [1], {"note": "meanwhile"})
    rest, cursor = read_all(erp, lines, page.cursor)
    assert [row["purchase_order_line_id"] for row in rest] == [str(n) for n in range(4, 9)]
    # What changed behind the place of the pass is met by the next one.
    assert [row["purchase_order_line_id"] for row in read_all(erp, lines, cursor)[0]] == ["1"]
    erp.close()
    server.kill()


def test_who_may_not_read_is_told_so(tryton: Tryton, tmp_path: Path) -> None:
    erp = connector(tryton, tmp_path, user="stranger", key=STRANGER)
    with pytest.raises(DependencyUnavailableError, match="UserError") as failed:
        erp.read(plan("erp.sales_order.v1"), None)
    assert STRANGER not in str(failed.value)
    erp.close()


def test_a_wrong_password_is_told_without_it(tryton: Tryton, tmp_path: Path) -> None:
    erp = connector(tryton, tmp_path, key="wr0ng-pass")
    with pytest.raises(ConfigurationError, match="refuses the login") as failed:
        erp.read(plan("erp.sales_order.v1"), None)
    assert "wr0ng-pass" not in str(failed.value)
    erp.close()


@pytest.mark.parametrize(("model", "column"), [("no.such.model", "id"), ("sale.sale", "colour")])
def test_a_missing_model_or_field_is_named(
    tryton: Tryton, tmp_path: Path, model: str, column: str
) -> None:
    orders = plan("erp.sales_order.v1")
    body = json.loads(json.dumps(orders.how.ask.body).replace("sale.sale", model))
    columns = tuple(dict.fromkeys(("id", "create_date", "write_date", "party.write_date", column)))
    how = replace(orders.how, ask=replace(orders.how.ask, body=body), columns=columns)
    erp = connector(tryton, tmp_path)
    with pytest.raises(DependencyUnavailableError, match=column if model == "sale.sale" else model):
        erp.read(replace(orders, how=how), None)
    erp.close()

"""SAP Business One's Service Layer as documented: a session, pages of 20, lines in documents."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.base import ZONE, Source
from connectors.check import check
from connectors.config import load_agent
from connectors.kinds.odata import OdataConnector, OdataSource
from connectors.registry import find
from contracts.decode import decode_arrow
from contracts.gate import judge
from contracts.loader import find as find_contract
from kernel import clock
from kernel.errors import ConfigurationError
from kernel.ids import SourceId
from pipeline.bodies import encode
from tests.connectors.reading import mapped, read_all
from tests.connectors.web.server import Server, serving
from tests.connectors.web.service_layer import (
    LOGIN,
    PARTNER,
    ServiceLayer,
    item,
    order,
    partner,
    production,
)

pytestmark = pytest.mark.real_system
STAMPED = "2024-06-01T00:30:00+00:00"


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ServiceLayer, Server]]:
    monkeypatch.setattr(clock, "sleep", lambda _seconds: None)
    layer = ServiceLayer()
    with serving(layer.says) as server:
        yield layer, server


def connector(
    server: Server, folder: Path, login: dict[str, str] = LOGIN, **more: int
) -> OdataConnector:
    way = server.way(login)
    way = type(way)(f"{way.address}b1s/v2/", login, requests_per_second=1000)
    return OdataConnector(
        Source(SourceId("b1"), "sap_b1", OdataSource(way, **more), memory=folder / "memory")
    )


def gated(made: OdataConnector, contract: str) -> list[dict[str, object]]:
    """Read a stream to its end; its rows are as its contract wants them."""
    plan = next(each for each in find("sap_b1").streams if each.contract == contract)
    model, cursor, rows = find_contract(contract), None, []
    while True:
        page = made.read(plan, cursor)
        if (table := mapped(page, plan)) is not None and table.num_rows:
            (body,) = encode(table, plan.version)
            decoded = decode_arrow(body.body, model)
            assert judge(decoded.rows, model, decoded.faults).refused == {}
            rows += decoded.rows.to_pylist()
        if page.cursor == cursor or not page.more:
            return rows
        cursor = page.cursor


def told(row: dict[str, object], *leave_out: str) -> dict[str, object]:
    """Give what a row says, moments as texts."""
    said = {name: value for name, value in row.items() if value is not None}
    for name in leave_out:
        assert said.pop(name)
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in said.items()
    }


def test_what_it_gives_passes_the_gate(layer: tuple[ServiceLayer, Server], tmp_path: Path) -> None:
    b1, server = layer
    for name in ("Orders", "DeliveryNotes", "PurchaseOrders"):
        b1.tables[name] = [order(n, 1 + n // 30) for n in range(1, 90)]
    b1.tables["Orders"][0] |= {"DocumentStatus": "bost_Close", "DocCurrency": "USD"}
    b1.tables["DeliveryNotes"][0] |= {"Cancelled": "tYES"}
    b1.tables["BusinessPartners"] = [
        partner("C1", "cCustomer", "91330523719500014U", UpdateTime=None),
        partner("C2", "cCustomer", None), partner("V1", "cSupplier", None),
    ]  # fmt: skip
    made = connector(server, tmp_path)
    found = {
        name: gated(made, name)
        for name in (
            "erp.customer.v1", "erp.sales_order.v1", "erp.sales_order_line.v1", "erp.delivery.v1",
            "srm.purchase_order.v1", "srm.purchase_order_line.v1",
        )
    }  # fmt: skip
    assert [len(rows) for rows in found.values()] == [2, 89, 178, 89, 89, 178]
    first = min(found["erp.sales_order.v1"], key=lambda row: int(str(row["order_id"])))
    assert (first["status"], first["currency"], first["ordered_on"]) == (
        "closed", "USD", date(2024, 6, 1),
    )  # fmt: skip
    assert told(first)["updated_at"] == STAMPED
    lines = {row["order_line_id"]: row for row in found["erp.sales_order_line.v1"]}
    line = lines["2-0"]
    assert (line["line_net_amount"], line["ordered_qty"], line["currency"]) == (
        Decimal("1234567.89"), Decimal("10.5000"), "CNY",
    )  # fmt: skip
    assert (lines["2-1"]["line_net_amount"], lines["2-1"]["is_closed"]) == (Decimal("99.50"), True)
    gone = [row["delivery_line_id"] for row in found["erp.delivery.v1"] if row["_op"] == "delete"]
    assert gone == ["1-0"]
    assert b1.logins == 1
    made.close()


def test_items_and_suppliers(layer: tuple[ServiceLayer, Server], tmp_path: Path) -> None:
    b1, server = layer
    b1.tables["Items"] = [
        item("CH-100"), item("CH-200", SalesItem="tNO", Frozen="tYES"),
        item("RM-1", ProcurementMethod="bom_Buy", SalesItem="tNO", Valid="tNO"),
        item("SV-1", InventoryItem="tNO", InventoryUOM=None, SalesUnit="", PurchaseUnit="次"),
        item("LB-1", ItemType="itLabor"), item("FA-1", ItemType="itFixedAssets"),
    ]  # fmt: skip
    b1.tables["BusinessPartners"] = [
        partner("C1", "cCustomer", None), partner("V1", "cSupplier", "91330523719500014U"),
        partner("V2", "cSupplier", "330523", Frozen="tYES"),
        partner("V3", "cSupplier", None, Valid="tNO"),
    ]  # fmt: skip
    made = connector(server, tmp_path)
    items = gated(made, "erp.product.v1")
    (chair,) = (row for row in items if row["product_code"] == "CH-100")
    assert told(chair) == {
        "product_code": "CH-100", "product_name": "网椅", "unit_of_measure": "件",
        "product_kind": "finished", "product_class": "101", "is_discontinued": False,
        "updated_at": STAMPED, "_op": "upsert",
    }  # fmt: skip
    kinds = {
        row["product_code"]: (row["product_kind"], row["unit_of_measure"], row["is_discontinued"])
        for row in items
    }
    assert kinds == {
        "CH-100": ("finished", "件", False), "CH-200": ("semi_finished", "件", True),
        "RM-1": ("raw_material", "件", True), "SV-1": ("service", "次", False),
        "LB-1": ("service", "件", False),
    }  # fmt: skip
    suppliers = gated(made, "srm.supplier.v1")
    assert told(suppliers[0]) == {
        "supplier_code": "V1", "supplier_name": "杭州某家居", "country_code": "CN",
        "supplier_uscc": "91330523719500014U", "status": "approved", "updated_at": STAMPED,
        "_op": "upsert",
    }  # fmt: skip
    assert [(row["supplier_code"], row["supplier_uscc"], row["status"]) for row in suppliers] == [
        ("V1", "91330523719500014U", "approved"), ("V2", None, "blocked"), ("V3", None, "blocked"),
    ]  # fmt: skip
    made.close()


def test_receipts_and_those_that_are_cancelled(
    layer: tuple[ServiceLayer, Server], tmp_path: Path
) -> None:
    b1, server = layer
    receipts = [order(1, 1), order(2, 1, Cancelled="tYES"), order(3, 1)]
    for receipt, kind in zip(receipts, (22, 22, 20), strict=True):
        lines = receipt["DocumentLines"]
        assert isinstance(lines, list)
        lines[0] |= {"BaseType": kind, "BaseEntry": 7, "BaseLine": 3}
    b1.tables["PurchaseDeliveryNotes"] = receipts
    made = connector(server, tmp_path)
    first, cancelled = gated(made, "srm.delivery.v1")
    assert told(first) == {
        "delivery_line_id": "1-0", "delivery_no": "1001", "purchase_order_line_id": "7-3",
        "supplier_code": "C1", "delivered_on": date(2024, 6, 1), "unit_of_measure": "件",
        "delivered_qty": Decimal("10.5000"), "updated_at": STAMPED, "_op": "upsert",
    }  # fmt: skip
    assert (cancelled["delivery_line_id"], cancelled["_op"]) == ("2-0", "delete")
    made.close()


def test_production_orders_are_compared_with_what_they_were(
    layer: tuple[ServiceLayer, Server], tmp_path: Path
) -> None:
    b1, server = layer
    states = ("boposPlanned", "boposReleased", "boposReleased", "boposClosed", "boposCancelled")
    orders = [production(n, state, 8.5 * (n > 1)) for n, state in enumerate(states)]
    orders += [production(n, "boposReleased") for n in range(5, 60)]
    apart = production(60, "boposReleased", ProductionOrderType="bopotDisassembly")
    b1.tables["ProductionOrders"] = [*orders, apart]
    made = connector(server, tmp_path, page_rows=40)
    rows = gated(made, "mes.work_order.v1")
    assert len(rows) == 60
    assert told(rows[2], "updated_at") == {
        "work_order_id": "2", "work_order_no": "502", "product_code": "CH-100",
        "planned_qty": Decimal("40.0000"), "good_qty": Decimal("8.5000"),
        "scrap_qty": Decimal("1.5000"), "unit_of_measure": "件", "status": "started",
        "due_on": date(2024, 6, 20), "released_at": "2024-06-01T16:00:00+00:00", "_op": "upsert",
    }  # fmt: skip
    assert [row["status"] for row in rows[:5]] == [
        "planned", "released", "started", "closed", "cancelled",
    ]  # fmt: skip
    plan = next(each for each in find("sap_b1").streams if each.contract == "mes.work_order.v1")
    _, cursor = read_all(made, plan)
    orders[1] |= {"CompletedQuantity": 3.0}
    b1.tables["ProductionOrders"] = orders[:-1]
    changed, cursor = read_all(made, plan, cursor)
    assert [(row["work_order_id"], row["status"], row["_op"]) for row in changed] == [
        ("1", "started", "upsert"), ("59", "released", "delete"), ("60", "released", "delete"),
    ]  # fmt: skip
    assert read_all(made, plan, cursor)[0] == []
    made.close()


def test_a_session_that_timed_out_and_changes_of_the_day(
    layer: tuple[ServiceLayer, Server], tmp_path: Path
) -> None:
    b1, server = layer
    b1.tables["Orders"] = [order(n, 3) for n in range(1, 60)]
    plan = next(each for each in find("sap_b1").streams if each.contract == "erp.sales_order.v1")
    made = connector(server, tmp_path)
    page = made.read(plan, None)
    b1.sessions.clear()
    rows, cursor = read_all(made, plan, page.cursor)
    assert page.rows is not None
    assert page.rows.num_rows + len(rows) == 59
    assert b1.logins == 2
    b1.tables["Orders"][4] |= {"DocumentStatus": "bost_Close", "UpdateTime": "09:00:00"}
    rows, cursor = read_all(made, plan, cursor)
    assert [(row["order_id"], row["status"]) for row in rows] == [("5", "closed")]
    assert read_all(made, plan, cursor)[0] == []
    made.close()


@pytest.mark.parametrize("count", [39, 40, 41, 130])
def test_a_day_of_more_orders_than_are_asked_for_at_a_time(
    layer: tuple[ServiceLayer, Server], tmp_path: Path, count: int
) -> None:
    b1, server = layer
    b1.tables["Orders"] = [order(n, 3) for n in range(count)]
    plan = next(each for each in find("sap_b1").streams if each.contract == "erp.sales_order.v1")
    made = connector(server, tmp_path, page_rows=40)
    for stream in (plan, replace(plan, how=replace(plan.how, updated=""))):
        rows, cursor = read_all(made, stream)
        assert sorted(int(str(row["order_id"])) for row in rows) == list(range(count))
        assert read_all(made, stream, cursor)[0] == []
    made.close()


def test_a_wrong_password_and_another_version_are_told(
    layer: tuple[ServiceLayer, Server], tmp_path: Path
) -> None:
    _, server = layer
    plan = next(each for each in find("sap_b1").streams if each.contract == "erp.customer.v1")
    wrong = {**LOGIN, "password": "pa55word"}
    made = connector(server, tmp_path, wrong)
    with pytest.raises(ConfigurationError, match="Fail to get DB Credentials") as caught:
        read_all(made, plan)
    assert "pa55word" not in str(caught.value)
    made.close()
    made = connector(server, tmp_path)
    PARTNER.pop("FederalTaxID")
    try:
        (finding,) = check(made, [plan], ZONE)
    finally:
        PARTNER["FederalTaxID"] = "String"
    assert finding.problem == "BusinessPartners has no property FederalTaxID."
    made.close()


def test_an_agent_s_file_says_where_and_who(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    login = {"company": "SBO", "user": "reader", "password": "${NPLUSX_B1_PASSWORD}"}
    path.write_text(
        "agent: {id: a, enterprise: 91330523719500014U, key_file: k, outbox: o}\n"
        "sources: [{id: b1, preset: sap_b1, address: 'https://b1.example:50000/b1s/v2/', "
        f"login: {json.dumps(login)}}}]\n",
        "utf-8",
    )
    (source,) = load_agent(path).sources
    assert source.preset == "sap_b1"

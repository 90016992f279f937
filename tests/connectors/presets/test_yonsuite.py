"""The preset of YonSuite against a server that answers as its documentation says."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from connectors.base import Source, StreamPlan
from connectors.kinds.rest import RestConnector, RestSource
from connectors.registry import find
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import SourceId
from tests.connectors.machines.landing import agent_of, landed
from tests.connectors.reading import read_all
from tests.connectors.web.server import Answer, Asked, Server, serving
from tests.pipeline.world import World

pytestmark = pytest.mark.real_system
STREAMS = find("yonsuite").streams
GIVEN = {"app_key": "41832a3d", "app_secret": "5ecret+/="}
AUTH = "/iuap-api-auth/open-auth/selfAppAuth/getAccessToken"
LISTS = {
    "/iuap-api-gateway/yonbip/sd/voucherorder/list": {
        "vouchdate": "2024-03-01 00:00:00", "agentId": 1571, "agentId_name": "客户",
        "currency_name": "人民币", "nextStatus": "DELIVERGOODS", "verifystate": 2,
        "sendDate": "2024-03-20 00:00:00", "productCode": "FG-0", "qty": 2,
        "noTaxSaleCost": 1769.91, "pubts": "2024-03-01 08:00:00",
    },
    "/iuap-api-gateway/yonbip/scm/purchaseorder/list": {
        "vouchdate": "2024-03-01 00:00:00", "vendor": 1899, "currency_name": "人民币", "status": 1,
        "product_cCode": "RM-0", "subQty": 10.5, "unit_name": "千克", "listOriMoney": 100.10,
        "purchaseOrders_inWHStatus": 2, "pubts": "2024-03-01 08:00:00",
    },
    "/iuap-api-gateway/yonbip/mfg/productionorder/list": {
        "OrderProduct_materialCode": "FG-0", "OrderProduct_versionCode": "A1",
        "OrderProduct_quantity": 120, "OrderProduct_incomingQuantity": 30.5, "cfmScrapStockQty": 2,
        "OrderProduct_mainUnitName": "件", "status": 5, "auditTime": "2024-03-02 09:30:00",
        "OrderProduct_finishDate": "2024-03-26 00:00:00", "pubts": "2024-03-01 08:00:00",
    },
}  # fmt: skip
CUSTOMERS = "/iuap-api-gateway/yonbip/digitalModel/merchant/newlistrange"
VENDORS = "/iuap-api-gateway/yonbip/digitalModel/vendor/list"


class YonSuite:
    """Gives tokens for signed requests, and lists whose rows are lines with their heads."""

    def __init__(self) -> None:
        self.tokens = 0
        self.busy = 0
        self.rows = {path: [self.line(path, n, 1) for n in (1, 2)] for path in LISTS}
        self.rows[CUSTOMERS] = [self.customer(n) for n in range(1, 5)]
        self.rows[VENDORS] = [self.vendor(n) for n in range(1, 5)]

    def customer(self, number: int, **changes: object) -> dict[str, object]:
        name = {"simplifiedName": f"客户{number}", "englishName": None, "traditionalName": None}
        return {
            "id": 1700194312096055290 + number, "code": f"C{number}", "name": name,
            "licenseType": 0, "creditCode": "91330523719500014U",
            "createTime": "2024-03-01 08:00:00", "modifyTime": "2024-03-02 08:00:00", **changes,
        }  # fmt: skip

    def vendor(self, number: int, **changes: object) -> dict[str, object]:
        return {
            "id": 1891832769614080 + number, "code": f"V{number}", "name": f"供应商{number}",
            "creditcode": "91330523719500014U", "stop": False, "pubts": "2024-03-01 08:00:00",
            "vendorextends": {"freezestatus": "0"}, **changes,
        }  # fmt: skip

    def line(self, path: str, order: int, line: int, **changes: object) -> dict[str, object]:
        head: dict[str, object] = {
            "id": 2172161512886500 + order,
            "code": f"NO-{order}",
            "lineno": line,
        }
        head["orderProduct_id"] = 2184924571914500 + 10 * order + line
        return {**head, **LISTS[path], **changes}

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == AUTH:
            text = f"appKey{asked.query['appKey']}timestamp{asked.query['timestamp']}"
            code = hmac.digest(GIVEN["app_secret"].encode(), text.encode(), hashlib.sha256)
            if asked.query["signature"] != base64.b64encode(code).decode():
                return Answer({"code": "50000", "message": "签名不正确", "data": None})
            self.tokens += 1
            token = {"access_token": f"T{self.tokens}", "expire": 7200}
            return Answer({"code": "00000", "message": "成功！", "data": token})
        if asked.query.get("access_token") != f"T{self.tokens}":
            return Answer({"code": "310036", "message": "非法token"})
        if self.busy:
            self.busy -= 1
            return Answer(b"", 429)
        return self._list(asked)

    def _list(self, asked: Asked) -> Answer:
        said = asked.json
        assert isinstance(said, dict)
        if asked.path not in self.rows:
            return Answer({"code": 999, "message": "服务端逻辑异常"})
        found = self._found(asked.path, said)
        start = (said["pageIndex"] - 1) * said["pageSize"]
        page = found[start : start + said["pageSize"]]
        data = {
            "pageIndex": said["pageIndex"], "pageSize": said["pageSize"],
            "recordCount": len(found), "recordList": page,
        }  # fmt: skip
        return Answer({"code": "200", "message": "操作成功", "data": data})

    def _found(self, path: str, said: dict[str, Any]) -> list[dict[str, object]]:
        """Filter as each list does: documents by conditions, partners by a moment of their own."""
        rows = self.rows[path]
        if path == CUSTOMERS:
            # Their stamp is not told.
            return [row for row in rows if str(row["modifyTime"] or "~") >= said["pubts"]]
        if path == VENDORS:
            assert said["vendorApplyRange_isCreator"] is True
            return [row for row in rows if str(row["pubts"]) >= said["simple"]["pubts"]]
        ((condition,), (order,)) = said["simpleVOs"], said["queryOrders"]
        assert (condition["field"], condition["op"], order) == (
            "pubts", "gt", {"field": "id", "order": "asc"},
        )  # fmt: skip
        found = [row for row in rows if str(row["pubts"]) > condition["value1"]]
        return sorted(found, key=lambda row: (str(row.get("id", "~")), str(row.get("lineno"))))


@pytest.fixture
def suite() -> YonSuite:
    return YonSuite()


@pytest.fixture
def server(suite: YonSuite) -> Iterator[Server]:
    with serving(suite) as started:
        yield started


def open_at(server: Server, memory: Path, key: str = GIVEN["app_secret"]) -> RestConnector:
    way = RestSource(server.way({**GIVEN, "app_secret": key}), page_rows=2)
    return RestConnector(Source(SourceId("y"), "yonsuite", way, memory=memory))


def plan(name: str) -> StreamPlan[object]:
    return next(each for each in STREAMS if each.contract == name)


def test_every_stream_lands_as_its_contract_wants(
    server: Server, suite: YonSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "county", monkeypatch)
    monkeypatch.setenv("NPLUSX_SUITE_SECRET", GIVEN["app_secret"])
    said = f"- id: suite\n  preset: yonsuite\n  address: {server.address}\n"
    said += "  login: {app_key: 41832a3d, app_secret: '${NPLUSX_SUITE_SECRET}'}\n"
    for path in LISTS:
        # The sum of a list has no id.
        total = {"code": "合计", "pubts": "2024-03-01 08:00:00"}
        suite.rows[path] += [suite.line(path, 2, 2), total]
    agent = agent_of(world, tmp_path, said, *(each.contract for each in STREAMS))
    report = agent.round(Event())
    assert report.is_clean, report
    agent.close()
    rows_of = {each.contract: landed(world, each.contract) for each in STREAMS}
    assert sorted(row["order_id"] for row in rows_of["erp.sales_order.v1"]) == [
        "2172161512886501", "2172161512886502",
    ]  # fmt: skip
    lines = rows_of["erp.sales_order_line.v1"]
    assert [row["order_line_id"] for row in lines] == [
        "2172161512886501-1", "2172161512886502-1", "2172161512886502-2",
    ]  # fmt: skip
    assert str(lines[0]["line_net_amount"]) == "1769.91"
    bought = rows_of["srm.purchase_order_line.v1"]
    assert {(str(row["ordered_qty"]), row["unit_of_measure"]) for row in bought} == {
        ("10.5000", "千克")
    }
    assert len(rows_of["srm.purchase_order.v1"]) == 2
    orders = rows_of["mes.work_order.v1"]
    assert [row["work_order_id"] for row in orders] == [
        "2184924571914511", "2184924571914521", "2184924571914522",
    ]  # fmt: skip
    assert [len(rows_of[name]) for name in ("erp.customer.v1", "srm.supplier.v1")] == [4, 4]


def said(row: dict[str, object]) -> dict[str, str]:
    """Give what a row says, as texts."""
    return {name: str(value) for name, value in row.items() if value is not None}


def test_partners_and_their_changes(server: Server, suite: YonSuite, tmp_path: Path) -> None:
    suite.rows[CUSTOMERS][1] |= {"licenseType": 3, "modifyTime": None}
    suite.rows[CUSTOMERS][2] |= {"creditCode": "330523"}
    suite.rows[VENDORS][1] |= {"stop": True}
    suite.rows[VENDORS][2] |= {"vendorextends": {"freezestatus": "1"}, "creditcode": "JC01X00001"}
    suite.rows[VENDORS][3] |= {"vendorextends": {"freezestatus": "2"}}
    erp = open_at(server, tmp_path)
    customers, vendors = plan("erp.customer.v1"), plan("srm.supplier.v1")
    rows, known = read_all(erp, customers)
    assert said(rows[0]) == {
        "customer_code": "1700194312096055291", "customer_name": "客户1",
        "customer_uscc": "91330523719500014U", "updated_at": "2024-03-02 00:00:00+00:00",
        "_op": "upsert",
    }  # fmt: skip
    assert [row["customer_uscc"] is None for row in rows] == [False, True, True, False]
    assert str(rows[1]["updated_at"]) == "2024-03-01 00:00:00+00:00"
    found, seen = read_all(erp, vendors)
    assert said(found[0]) == {
        "supplier_code": "1891832769614081", "supplier_name": "供应商1", "status": "approved",
        "supplier_uscc": "91330523719500014U", "updated_at": "2024-03-01 00:00:00+00:00",
        "_op": "upsert",
    }  # fmt: skip
    assert [row["status"] for row in found] == ["approved", "blocked", "suspended", "blocked"]
    assert found[2]["supplier_uscc"] is None
    later = {"createTime": "2020-01-01 08:00:00", "modifyTime": "2024-03-05 08:00:00"}
    suite.rows[CUSTOMERS][3] = suite.customer(4, **later)
    suite.rows[VENDORS][0] = suite.vendor(1, stop=True, pubts="2024-03-05 08:00:00")
    rows, known = read_all(erp, customers, known)
    assert [row["customer_name"] for row in rows] == ["客户4"]
    found, seen = read_all(erp, vendors, seen)
    assert [(row["supplier_name"], row["status"]) for row in found] == [("供应商1", "blocked")]
    assert read_all(erp, customers, known)[0] == read_all(erp, vendors, seen)[0] == []
    erp.close()


def test_production_orders(server: Server, suite: YonSuite, tmp_path: Path) -> None:
    path = "/iuap-api-gateway/yonbip/mfg/productionorder/list"
    suite.rows[path] = [suite.line(path, 1 + n, 1, status=n) for n in range(6)]
    suite.rows[path][0] |= {
        "cfmScrapStockQty": None, "OrderProduct_incomingQuantity": None, "auditTime": None,
    }  # fmt: skip
    erp = open_at(server, tmp_path)
    rows, _ = read_all(erp, plan("mes.work_order.v1"))
    assert said(rows[5]) == {
        "work_order_id": "2184924571914561", "work_order_no": "NO-6", "product_code": "FG-0",
        "bom_version": "A1", "planned_qty": "120.0000", "good_qty": "30.5000",
        "scrap_qty": "2.0000", "unit_of_measure": "件", "status": "started",
        "due_on": "2024-03-26", "released_at": "2024-03-02 01:30:00+00:00",
        "updated_at": "2024-03-01 00:00:00+00:00", "_op": "upsert",
    }  # fmt: skip
    assert [row["status"] for row in rows] == [
        "planned", "released", "closed", "planned", "released", "started",
    ]  # fmt: skip
    assert (rows[0]["good_qty"], rows[0]["scrap_qty"], rows[0]["released_at"]) == (0, 0, None)
    erp.close()


def test_a_change_comes_and_a_token_that_is_forgotten_is_renewed(
    server: Server, suite: YonSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "sleep", lambda _: None)
    path = "/iuap-api-gateway/yonbip/scm/purchaseorder/list"
    suite.rows[path] += [suite.line(path, n, 1) for n in range(3, 8)]
    erp, orders = open_at(server, tmp_path), plan("srm.purchase_order.v1")
    rows, cursor = read_all(erp, orders)
    assert len(rows) == 7
    suite.tokens += 1
    suite.busy = 2
    suite.rows[path][0] = suite.line(path, 1, 1, status=2, pubts="2024-03-05 10:00:00")
    rows, cursor = read_all(erp, orders, cursor)
    assert [(row["purchase_order_no"], row["status"]) for row in rows] == [("NO-1", "closed")]
    assert suite.tokens == 3
    assert read_all(erp, orders, cursor)[0] == []
    erp.close()


def test_a_wrong_secret_and_a_list_that_fails_are_named(
    server: Server, suite: YonSuite, tmp_path: Path
) -> None:
    erp = open_at(server, tmp_path, "wr0ng")
    with pytest.raises(ConfigurationError, match="refuses the login: 签名不正确") as failed:
        erp.read(STREAMS[0], None)
    assert "wr0ng" not in str(failed.value)
    erp.close()
    suite.rows.clear()
    erp = open_at(server, tmp_path)
    with pytest.raises(DependencyUnavailableError, match="服务端逻辑异常"):
        erp.read(STREAMS[0], None)
    erp.close()

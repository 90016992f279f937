"""The preset of YonSuite against a server that answers as its documentation says."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from threading import Event

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
}  # fmt: skip


class YonSuite:
    """Gives tokens for signed requests, and lists whose rows are lines with their heads."""

    def __init__(self) -> None:
        self.tokens = 0
        self.busy = 0
        self.rows = {path: [self.line(path, n, 1) for n in (1, 2)] for path in LISTS}

    def line(self, path: str, order: int, line: int, **changes: object) -> dict[str, object]:
        head = {"id": 2172161512886500 + order, "code": f"NO-{order}", "lineno": line}
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
        ((condition,), (order,)) = said["simpleVOs"], said["queryOrders"]
        assert (condition["field"], condition["op"], order) == (
            "pubts", "gt", {"field": "id", "order": "asc"},
        )  # fmt: skip
        if asked.path not in self.rows:
            return Answer({"code": 999, "message": "服务端逻辑异常"})
        found = [row for row in self.rows[asked.path] if str(row["pubts"]) > condition["value1"]]
        found.sort(key=lambda row: (str(row.get("id", "~")), str(row.get("lineno"))))
        start = (said["pageIndex"] - 1) * said["pageSize"]
        page = found[start : start + said["pageSize"]]
        data = {
            "pageIndex": said["pageIndex"], "pageSize": said["pageSize"],
            "recordCount": len(found), "recordList": page,
        }  # fmt: skip
        return Answer({"code": "200", "message": "操作成功", "data": data})


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
    for path, rows in suite.rows.items():
        # The sum of a list has no id.
        rows += [suite.line(path, 2, 2), {"code": "合计", "pubts": "2024-03-01 08:00:00"}]
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

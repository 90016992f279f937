"""The preset of Kingdee's WebAPI against a server that answers as its documentation says."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from connectors.base import Source, StreamPlan
from connectors.check import check
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
STREAMS = find("kingdee_k3cloud").streams
GIVEN = {"account": "5f1e", "user": "reader", "password": "p4ss"}
CHANGED = "2024-03-01T08:00:00.123"
# What a form's rows have, besides what every document has.
DOCUMENT = {"FModifyDate": CHANGED, "FApproveDate": CHANGED, "FDocumentStatus": "C"}
SALE = {
    "FID": 100001, "FBillNo": "XSDD000001", "FDate": "2024-03-01T00:00:00",
    "FCustId.FNumber": "C01", "FCustId.FName": "客户 🪑",
    "FSettleCurrId.FCODE": "CNY", "FCloseStatus": "A",
    "FMaterialId.FNumber": "FG-0", "FQty": 12.5, "FDeliveryDate": "2024-04-01T00:00:00",
    "FAmount": 1234.56, "FMrpCloseStatus": "A",
}  # fmt: skip
PURCHASE = {
    "FID": 200001, "FBillNo": "CGDD000001", "FDate": "2024-03-01T00:00:00",
    "FSupplierId.FNumber": "S01", "FSettleCurrId.FCODE": "CNY", "FCloseStatus": "A",
    "FMaterialId.FNumber": "RM-0", "FUnitId.FNumber": "kg", "FQty": 3, "FAmount": 9.99,
    "FDeliveryDate": "2024-04-01T00:00:00", "FMRPCloseStatus": "B",
}  # fmt: skip
FORMS: dict[str, dict[str, object]] = {
    "BD_MATERIAL": {
        "FMATERIALID": 1, "FNumber": "FG-0", "FName": "办公椅", "FSpecification": "",
        "FBaseUnitId.FNumber": "Pcs", "FCategoryID.FNumber": "CHLB05_SYS", "FForbidStatus": "A",
    },
    "BD_Customer": {"FCUSTID": 1, "FNumber": "C01", "FName": "客户", "FSOCIALCRECODE": " "},
    "BD_Supplier": {
        "FSupplierId": 1, "FNumber": "S01", "FName": "供应商", "FForbidStatus": "A",
        "FSOCIALCRECODE": "91330523719500014U",
    },
    "SAL_SaleOrder": {"FSaleOrderEntry_FEntryID": 1, **SALE},
    "PUR_PurchaseOrder": {"FPOOrderEntry_FEntryID": 1, **PURCHASE},
    "SAL_OUTSTOCK": {
        "FEntity_FENTRYID": 1, "FBillNo": "XSCKD1", "FDate": "2024-03-05T00:00:00",
        "FRealQty": 2, "FSOEntryId": 1,
    },
    "STK_InStock": {
        "FInStockEntry_FEntryID": 1, "FBillNo": "CGRK1", "FDate": "2024-03-05T00:00:00",
        "FSupplierId.FNumber": "S01", "FMustQty": 3, "FRealQty": 2.5, "FPOORDERENTRYID": 1,
        "FUnitId.FNumber": "kg",
    },
    "PRD_MO": {
        "FTreeEntity_FEntryId": 1, "FBillNo": "MO1", "FMaterialId.FNumber": "FG-0",
        "FBomId.FNumber": "FG-0_V1", "FQty": 10, "FUnitId.FNumber": "Pcs", "FStatus": "4",
        "FPlanFinishDate": "2024-03-20T00:00:00", "FStockInQuaAuxQty": 4,
        "FStockInScrapAuxQty": 0, "FSaleOrderEntryId": 1, "FStartDate": "2024-03-02T08:00:00",
        "FFinishDate": None,
    },
}  # fmt: skip


def refused(message: str) -> Answer:
    status = {
        "ErrorCode": 500, "IsSuccess": False, "SuccessEntitys": [], "SuccessMessages": [],
        "Errors": [{"FieldName": None, "Message": message, "DIndex": 0}], "MsgCode": 1,
    }  # fmt: skip
    return Answer([[{"Result": {"ResponseStatus": status}}]])


class Kingdee:
    """Sessions, forms and queries: filters and orders are evaluated by a database, as there."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.logins = 0
        self.db = sqlite3.connect(":memory:", check_same_thread=False)
        for form, row in FORMS.items():
            columns = ", ".join(f'"{name}"' for name in {**row, **DOCUMENT})
            self.db.execute(f"create table {form} ({columns})")
            self.put(form)

    def put(self, form: str, **changes: object) -> None:
        row = {**FORMS[form], **DOCUMENT, **changes}
        key, value = next(iter(row.items()))
        marks = ", ".join("?" * len(row))
        self._sql("delete from", form, f'where "{key}" = ?', given=(value,))
        self._sql("insert into", form, f"values ({marks})", given=tuple(row.values()))

    def _sql(self, *parts: object, given: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        return self.db.execute(" ".join(map(str, parts)), given).fetchall()

    def __call__(self, asked: Asked) -> Answer:
        said = asked.json
        assert isinstance(said, dict)
        if asked.path.endswith("AuthService.ValidateUser.common.kdsvc"):
            return self._log_in(said)
        if asked.headers.get("cookie", "").rpartition("=")[2] not in self.sessions:
            return refused("会话信息已丢失，请重新登录")
        assert asked.path.endswith("DynamicFormService.ExecuteBillQuery.common.kdsvc")
        return self._query(said["data"])

    def _log_in(self, said: dict[str, object]) -> Answer:
        if tuple(said.values()) != (*GIVEN.values(), 2052):
            return Answer({"Message": "用户名或密码错误", "LoginResultType": 0, "Context": None})
        self.logins += 1
        self.sessions = {f"k{self.logins}"}
        cookie = {"Set-Cookie": f"kdservice-sessionid=k{self.logins}; path=/"}
        return Answer({"Message": None, "LoginResultType": 1, "Context": {}}, 200, cookie)

    def _query(self, said: dict[str, object]) -> Answer:
        form, limit = str(said["FormId"]), int(str(said["Limit"]))
        if form not in FORMS:
            return refused("业务对象不存在")
        if limit > 2000:
            return refused("Limit 不能大于 2000")
        known = {*FORMS[form], *DOCUMENT}
        names = str(said["FieldKeys"]).split(",")
        if odd := [name for name in names if name not in known]:
            return refused(f"字段 {odd[0]} 不存在")
        # The product compares moments whatever they are written like.
        moments = r"'(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)'"
        where = re.sub(moments, r"'\1T\2'", str(said["FilterString"]))
        wanted = ", ".join(f'"{name}"' for name in names)
        found = self._sql(
            "select distinct", wanted, "from", form, "where", where, "order by",
            said["OrderString"], "limit", limit, "offset", said["StartRow"],
        )  # fmt: skip
        return Answer([list(row) for row in found])


@pytest.fixture
def kingdee() -> Kingdee:
    return Kingdee()


@pytest.fixture
def server(kingdee: Kingdee) -> Iterator[Server]:
    with serving(kingdee) as started:
        yield started


def open_at(server: Server, memory: Path, page_rows: int = 0) -> RestConnector:
    way = RestSource(server.way(GIVEN), page_rows=page_rows)
    return RestConnector(Source(SourceId("k"), "kingdee_k3cloud", way, memory=memory))


def plan(name: str) -> StreamPlan[object]:
    return next(each for each in STREAMS if each.contract == name)


def test_every_stream_lands_as_its_contract_wants(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "county", monkeypatch)
    monkeypatch.setenv("NPLUSX_ERP_PASSWORD", "p4ss")
    said = f"- id: erp\n  preset: kingdee_k3cloud\n  address: {server.address}\n"
    said += "  login: {account: 5f1e, user: reader, password: '${NPLUSX_ERP_PASSWORD}'}\n"
    agent = agent_of(world, tmp_path, said, *(each.contract for each in STREAMS))
    report = agent.round(Event())
    assert report.is_clean, report
    agent.close()
    rows = {each.contract: landed(world, each.contract) for each in STREAMS}
    assert {name: len(found) for name, found in rows.items()} == dict.fromkeys(rows, 1)
    line = rows["erp.sales_order_line.v1"][0]
    assert str(line["line_net_amount"]) == "1234.56"
    assert str(line["ordered_qty"]) == "12.5000"
    assert str(line["promised_on"]) == "2024-04-01"
    assert str(line["updated_at"]) == "2024-03-01 00:00:00.123000+00:00"
    assert rows["erp.product.v1"][0]["product_kind"] == "finished"
    assert rows["mes.work_order.v1"][0]["status"] == "started"
    assert rows["srm.purchase_order_line.v1"][0]["is_closed"] is True
    assert rows["srm.supplier.v1"][0]["supplier_uscc"] == "91330523719500014U"


def test_pages_changes_and_an_approval_taken_back(
    server: Server, kingdee: Kingdee, tmp_path: Path
) -> None:
    for key in range(2, 8):
        kingdee.put("SAL_SaleOrder", FSaleOrderEntry_FEntryID=key)
    lines, orders = plan("erp.sales_order_line.v1"), plan("erp.sales_order.v1")
    erp = open_at(server, tmp_path, page_rows=3)
    rows, at_lines = read_all(erp, lines)
    assert [row["order_line_id"] for row in rows] == [str(n) for n in range(1, 8)]
    rows, at_orders = read_all(erp, orders)
    assert [(row["order_id"], row["status"]) for row in rows] == [("100001", "approved")]
    later = "2024-03-02T09:00:00"
    for key in range(1, 8):
        kingdee.put(
            "SAL_SaleOrder", FSaleOrderEntry_FEntryID=key, FDocumentStatus="D", FModifyDate=later,
            FApproveDate=None,
        )  # fmt: skip
    rows, at_orders = read_all(erp, orders, at_orders)
    assert [(row["order_id"], row["status"]) for row in rows] == [("100001", "draft")]
    assert len(read_all(erp, lines, at_lines)[0]) == 7
    assert read_all(erp, orders, at_orders)[0] == []
    assert kingdee.logins == 1
    erp.close()


def test_a_session_that_ended_is_begun_anew(
    server: Server, kingdee: Kingdee, tmp_path: Path
) -> None:
    erp = open_at(server, tmp_path)
    read_all(erp, plan("erp.product.v1"))
    kingdee.sessions.clear()
    assert len(read_all(erp, plan("erp.product.v1"))[0]) == 1
    assert kingdee.logins == 2
    erp.close()


def test_a_wrong_password_a_missing_form_and_maintenance_are_named(
    server: Server, kingdee: Kingdee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = RestSource(server.way({**GIVEN, "password": "Wr0ng"}))
    erp = RestConnector(Source(SourceId("k"), "kingdee_k3cloud", wrong, memory=tmp_path))
    with pytest.raises(ConfigurationError, match="refuses the login: 用户名或密码错误"):
        erp.read(STREAMS[0], None)
    erp.close()
    monkeypatch.delitem(FORMS, "PRD_MO")
    monkeypatch.setitem(FORMS, "BD_Customer", {"FCUSTID": 1})
    erp = open_at(server, tmp_path)
    found = {each.subject: each.problem for each in check(erp, STREAMS, "Asia/Shanghai")}
    assert "业务对象不存在" in found.pop("mes.work_order.v1")
    assert "字段 FNumber 不存在" in found.pop("erp.customer.v1")
    assert set(found.values()) == {""}
    monkeypatch.setattr(clock, "sleep", lambda _: None)
    server.says = lambda _: Answer("<html>系统维护中</html>".encode(), 503)
    with pytest.raises(DependencyUnavailableError, match="in maintenance"):
        erp.read(STREAMS[0], None)
    erp.close()

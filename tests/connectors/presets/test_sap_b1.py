"""SAP Business One's Service Layer as documented: a session, pages of 20, lines in documents."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
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
from tests.connectors.web.server import Answer, Asked, Server, serving

pytestmark = pytest.mark.real_system
LOGIN = {"company": "SBO_ANJI", "user": "reader", "password": "sesame"}
HEAD = {
    "DocEntry": "Int32", "DocNum": "Int32", "DocDate": "DateTimeOffset", "CardCode": "String",
    "CardName": "String", "DocCurrency": "String", "DocumentStatus": "String",
    "Cancelled": "String", "UpdateDate": "DateTimeOffset", "UpdateTime": "TimeOfDay",
}  # fmt: skip
PARTNER = {
    "CardCode": "String", "CardName": "String", "CardType": "String", "FederalTaxID": "String",
    "Country": "String", "UpdateDate": "DateTimeOffset", "UpdateTime": "TimeOfDay",
}  # fmt: skip
SETS = {
    "Orders": "Document", "DeliveryNotes": "Document", "PurchaseOrders": "Document",
    "BusinessPartners": "BusinessPartner",
}  # fmt: skip


def described() -> str:
    def of(name: str, key: str, columns: dict[str, str], more: str = "") -> str:
        told = "".join(f'<Property Name="{n}" Type="Edm.{t}"/>' for n, t in columns.items())
        key = f'<Key><PropertyRef Name="{key}"/></Key>'
        return f'<EntityType Name="{name}">{key}{told}{more}</EntityType>'

    lines = '<Property Name="DocumentLines" Type="Collection(SAPB1.DocumentLine)"/>'
    sets = "".join(f'<EntitySet Name="{n}" EntityType="SAPB1.{kind}"/>' for n, kind in SETS.items())
    return (
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">'
        '<edmx:DataServices><Schema Namespace="SAPB1" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
        f"{of('Document', 'DocEntry', HEAD, lines)}{of('BusinessPartner', 'CardCode', PARTNER)}"
        f'<EntityContainer Name="ServiceLayer">{sets}</EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    )


def order(number: int, day: int, **more: object) -> dict[str, object]:
    line = {
        "LineNum": 0, "ItemCode": "CH-100", "Quantity": 10.5, "ShipDate": "2024-06-20T00:00:00Z",
        "LineTotal": 1234567.89, "RowTotalFC": 0, "LineStatus": "bost_Open", "MeasureUnit": "件",
        "BaseType": 17, "BaseEntry": 1, "BaseLine": 0,
    }  # fmt: skip
    foreign = {**line, "LineNum": 1, "RowTotalFC": 99.5, "LineStatus": "bost_Close", "BaseType": -1}
    return {
        "DocEntry": number, "DocNum": 1000 + number, "DocDate": "2024-06-01T00:00:00Z",
        "CardCode": "C1", "CardName": "安吉家具", "DocCurrency": "RMB", "Cancelled": "tNO",
        "DocumentStatus": "bost_Open", "UpdateDate": f"2024-06-{day:02}T00:00:00Z",
        "UpdateTime": "08:30:00", "DocumentLines": [line, foreign], **more,
    }  # fmt: skip


class ServiceLayer:
    """What the manual says: 401 without a session, `$filter`, `$skip`, pages of 20 if not asked."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.logins = 0
        self.tables: dict[str, list[dict[str, object]]] = {name: [] for name in SETS}

    def says(self, asked: Asked) -> Answer:
        if asked.path.endswith("/Login"):
            return self._login(asked.json)
        if not any(each in asked.headers.get("cookie", "") for each in self.sessions):
            words = "Invalid session or session already timeout."
            return Answer({"error": {"code": "301", "message": words}}, 401)
        name = asked.path.rpartition("/")[2]
        if name == "$metadata":
            return Answer(described().encode())
        return self._page(asked, name)

    def _login(self, said: object) -> Answer:
        wanted = {"CompanyDB": "SBO_ANJI", "UserName": "reader", "Password": "sesame"}
        if said != wanted:
            return Answer({"error": {"code": "-304", "message": "Fail to get DB Credentials"}}, 401)
        self.logins += 1
        session = f"B1SESSION=s{self.logins}x"
        self.sessions = {session}
        cookie = f"{session};HttpOnly;;Path=/b1s;SameSite=None"
        return Answer({"SessionId": session, "SessionTimeout": 30}, headers={"Set-Cookie": cookie})

    def _page(self, asked: Asked, name: str) -> Answer:
        told = asked.query.get("$filter", "")
        since = re.fullmatch(r"UpdateDate ge '(\d{4}-\d\d-\d\d)'", told)
        assert since or told in ("", "UpdateDate eq null"), told
        key = "CardCode" if name == "BusinessPartners" else "DocEntry"
        assert asked.query["$orderby"] in (f"UpdateDate,{key}", key)
        rows = sorted(
            (row for row in self.tables[name] if row["UpdateDate"]),
            key=lambda row: (str(row["UpdateDate"]), row[key]),
        )
        if since:
            rows = [row for row in rows if str(row["UpdateDate"])[:10] >= since.group(1)]
        elif told:
            rows = [row for row in self.tables[name] if not row["UpdateDate"]]
        skip, top = int(asked.query.get("$skip", "0")), int(asked.query["$top"])
        size = re.search(r"maxpagesize=(\d+)", asked.headers.get("prefer", ""))
        size = min(int(size.group(1)) if size else 20, self.most, top)
        found = [{n: row[n] for n in asked.query["$select"].split(",")} for row in rows]
        page: dict[str, object] = {"value": found[skip : skip + size]}
        if size < top and skip + size < len(rows):
            query = {**asked.query, "$skip": str(skip + size), "$top": str(top - size)}
            text = "&".join(f"{n}={v}".replace(" ", "%20") for n, v in query.items())
            page["@odata.nextLink"] = f"{name}?{text}"
        return Answer(page)

    most = 20


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


def test_what_it_gives_passes_the_gate(layer: tuple[ServiceLayer, Server], tmp_path: Path) -> None:
    b1, server = layer
    for name in ("Orders", "DeliveryNotes", "PurchaseOrders"):
        b1.tables[name] = [order(n, 1 + n // 30) for n in range(1, 90)]
    b1.tables["Orders"][0] |= {"DocumentStatus": "bost_Close", "DocCurrency": "USD"}
    stamp = {"UpdateDate": "2024-06-01T00:00:00Z", "UpdateTime": None, "Country": "CN"}
    b1.tables["BusinessPartners"] = [
        {"CardCode": code, "CardName": "杭州某家居", "CardType": kind, "FederalTaxID": tax, **stamp}
        for code, kind, tax in (
            ("C1", "cCustomer", "91330523719500014U"), ("C2", "cCustomer", None),
            ("V1", "cSupplier", None),
        )
    ]  # fmt: skip
    made, found = connector(server, tmp_path), {}
    for plan in find("sap_b1").streams:
        contract, cursor, rows = find_contract(plan.contract), None, []
        while True:
            page = made.read(plan, cursor)
            if (table := mapped(page, plan)) is not None and table.num_rows:
                (body,) = encode(table, plan.version)
                decoded = decode_arrow(body.body, contract)
                assert judge(decoded.rows, contract, decoded.faults).refused == {}
                rows += decoded.rows.to_pylist()
            if page.cursor == cursor or not page.more:
                break
            cursor = page.cursor
        found[plan.contract] = rows
    assert {name: len(rows) for name, rows in found.items()} == {
        "erp.customer.v1": 2, "erp.sales_order.v1": 89, "erp.sales_order_line.v1": 178,
        "erp.delivery.v1": 89, "srm.purchase_order.v1": 89, "srm.purchase_order_line.v1": 178,
    }  # fmt: skip
    first = min(found["erp.sales_order.v1"], key=lambda row: int(row["order_id"]))
    assert (first["status"], first["currency"], first["ordered_on"]) == (
        "closed", "USD", date(2024, 6, 1),
    )  # fmt: skip
    assert first["updated_at"].isoformat() == "2024-06-01T00:30:00+00:00"
    lines = {row["order_line_id"]: row for row in found["erp.sales_order_line.v1"]}
    line = lines["2-0"]
    assert (line["line_net_amount"], line["ordered_qty"], line["currency"]) == (
        Decimal("1234567.89"), Decimal("10.5000"), "CNY",
    )  # fmt: skip
    assert (lines["2-1"]["line_net_amount"], lines["2-1"]["is_closed"]) == (Decimal("99.50"), True)
    assert b1.logins == 1
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
    (plan, *_), wrong = find("sap_b1").streams, {**LOGIN, "password": "pa55word"}
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

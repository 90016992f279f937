"""SAP Business One's Service Layer as its manual has it, and rows such as it gives."""

import re

from tests.connectors.web.server import Answer, Asked

LOGIN = {"company": "SBO_ANJI", "user": "reader", "password": "sesame"}
HEAD = {
    "DocEntry": "Int32", "DocNum": "Int32", "DocDate": "DateTimeOffset", "CardCode": "String",
    "CardName": "String", "DocCurrency": "String", "DocumentStatus": "String",
    "Cancelled": "String", "UpdateDate": "DateTimeOffset", "UpdateTime": "TimeOfDay",
}  # fmt: skip
PARTNER = {
    "CardCode": "String", "CardName": "String", "CardType": "String", "FederalTaxID": "String",
    "Country": "String", "Valid": "String", "Frozen": "String", "UpdateDate": "DateTimeOffset",
    "UpdateTime": "TimeOfDay",
}  # fmt: skip
ITEM = {
    "ItemCode": "String", "ItemName": "String", "ItemType": "String", "ItemsGroupCode": "Int32",
    "InventoryItem": "String", "SalesItem": "String", "ProcurementMethod": "String",
    "InventoryUOM": "String", "SalesUnit": "String", "PurchaseUnit": "String", "Valid": "String",
    "Frozen": "String", "UpdateDate": "DateTimeOffset", "UpdateTime": "TimeOfDay",
}  # fmt: skip
PRODUCTION = {
    "AbsoluteEntry": "Int32", "DocumentNumber": "Int32", "ItemNo": "String",
    "ProductionOrderStatus": "String", "ProductionOrderType": "String",
    "PlannedQuantity": "Double", "CompletedQuantity": "Double", "RejectedQuantity": "Double",
    "InventoryUOM": "String", "DueDate": "DateTimeOffset", "ReleaseDate": "DateTimeOffset",
}  # fmt: skip
TYPES = {
    "BusinessPartner": ("CardCode", PARTNER), "Document": ("DocEntry", HEAD),
    "Item": ("ItemCode", ITEM), "ProductionOrder": ("AbsoluteEntry", PRODUCTION),
}  # fmt: skip
SETS = {
    "Orders": "Document", "DeliveryNotes": "Document", "PurchaseOrders": "Document",
    "PurchaseDeliveryNotes": "Document", "BusinessPartners": "BusinessPartner", "Items": "Item",
    "ProductionOrders": "ProductionOrder",
}  # fmt: skip
STAMP = {"UpdateDate": "2024-06-01T00:00:00Z", "UpdateTime": "08:30:00"}


def described() -> str:
    def of(name: str, key: str, columns: dict[str, str], more: str = "") -> str:
        told = "".join(f'<Property Name="{n}" Type="Edm.{t}"/>' for n, t in columns.items())
        key = f'<Key><PropertyRef Name="{key}"/></Key>'
        return f'<EntityType Name="{name}">{key}{told}{more}</EntityType>'

    lines = '<Property Name="DocumentLines" Type="Collection(SAPB1.DocumentLine)"/>'
    kinds = "".join(
        of(name, key, columns, lines if name == "Document" else "")
        for name, (key, columns) in TYPES.items()
    )
    sets = "".join(f'<EntitySet Name="{n}" EntityType="SAPB1.{kind}"/>' for n, kind in SETS.items())
    return (
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">'
        '<edmx:DataServices><Schema Namespace="SAPB1" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
        f'{kinds}<EntityContainer Name="ServiceLayer">{sets}</EntityContainer>'
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
        key, columns = TYPES[SETS[name]]
        dated = "UpdateDate" in columns
        assert asked.query["$orderby"] in ((f"UpdateDate,{key}", key) if dated else (key,))
        assert dated or not told, told
        rows = sorted(
            (row for row in self.tables[name] if row["UpdateDate"] or not dated),
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


def item(code: str, **more: object) -> dict[str, object]:
    return {
        "ItemCode": code, "ItemName": "网椅", "ItemType": "itItems", "ItemsGroupCode": 101,
        "InventoryItem": "tYES", "SalesItem": "tYES", "ProcurementMethod": "bom_Make",
        "InventoryUOM": "件", "SalesUnit": "箱", "PurchaseUnit": None, "Valid": "tYES",
        "Frozen": "tNO", **STAMP, **more,
    }  # fmt: skip


def partner(code: str, kind: str, tax: str | None, **more: object) -> dict[str, object]:
    return {
        "CardCode": code, "CardName": "杭州某家居", "CardType": kind, "FederalTaxID": tax,
        "Country": "CN", "Valid": "tYES", "Frozen": "tNO", **STAMP, **more,
    }  # fmt: skip


def production(number: int, status: str, done: float = 0, **more: object) -> dict[str, object]:
    return {
        "AbsoluteEntry": number, "DocumentNumber": 500 + number, "ItemNo": "CH-100",
        "ProductionOrderStatus": status, "ProductionOrderType": "bopotStandard",
        "PlannedQuantity": 40.0, "CompletedQuantity": done, "RejectedQuantity": 1.5,
        "InventoryUOM": "件", "DueDate": "2024-06-20T00:00:00Z", "UpdateDate": None,
        "ReleaseDate": "2024-06-02T00:00:00Z", **more,
    }  # fmt: skip

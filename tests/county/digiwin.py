"""The truth as Digiwin Yifei tells it: its own numbers for documents, days instead of hours."""

from datetime import datetime

from county.books import Books
from county.world import Row
from kernel.clock import SHANGHAI


class _Codes:
    """Names rows by the type and number of their documents."""

    def __init__(self, books: Books) -> None:
        self._sold = {r["order_line_id"]: r for r in books["erp.sales_order_line.v1"]}
        bought = books["srm.purchase_order_line.v1"]
        self._bought = {r["purchase_order_line_id"]: r for r in bought}
        self._open = {
            "220": {r["order_id"] for r in self._sold.values() if not r["is_closed"]},
            "330": {r["purchase_order_id"] for r in bought if not r["is_closed"]},
        }

    def sold(self, row: Row) -> Row:
        line = self._sold.get(row["order_line_id"])
        code = line and _code("220", line["order_id"], row["order_line_id"])
        return {**row, "order_line_id": code}

    def bought(self, row: Row) -> Row:
        line = self._bought[row["purchase_order_line_id"]]
        code = _code("330", line["purchase_order_id"], row["purchase_order_line_id"])
        return {**row, "purchase_order_line_id": code}

    def head(self, row: Row, kind: str, name: str) -> Row:
        stands = row["status"]
        if stands != "draft":
            stands = "approved" if row[f"{name}_id"] in self._open[kind] else "closed"
        return {**named(row, kind, name), "status": stands}


def named(row: Row, kind: str, name: str, line: object = None) -> Row:
    """Give a document its number, and a line of it its own."""
    head = _code(kind, row[f"{name}_line_id" if line else f"{name}_id"])
    if line is None:
        return {**row, f"{name}_id": head, f"{name}_no": head}
    return {**row, f"{name}_line_id": f"{head}-{line:04}", f"{name}_no": head}


def told(books: Books) -> Books:
    """Give books as the product's preset reads them."""
    codes = _Codes(books)
    last = max(row["counted_on"] for row in books["erp.inventory.v1"])
    changed = {
        "erp.inventory.v1": lambda r: r if r["counted_on"] == last else None,
        "erp.sales_order.v1": lambda r: codes.head(r, "220", "order"),
        "srm.purchase_order.v1": lambda r: codes.head(r, "330", "purchase_order"),
        "erp.sales_order_line.v1": lambda r: (
            codes.sold(r) | {"order_id": _code("220", r["order_id"])}
        ),
        "srm.purchase_order_line.v1": lambda r: (
            codes.bought(r) | {"purchase_order_id": _code("330", r["purchase_order_id"])}
        ),
        "erp.delivery.v1": lambda r: codes.sold(named(r, "230", "delivery", 1)),
        "srm.delivery.v1": lambda r: codes.bought(named(r, "340", "delivery", 1)),
        "mes.work_order.v1": lambda r: codes.sold(named(r, "510", "work_order")),
    }
    return {
        contract: [_days(each) for row in rows if (each := changed.get(contract, dict)(row))]
        for contract, rows in books.items()
    }


def _code(kind: str, number: object, line: object = None) -> str:
    head = f"{kind}-{number:0>11}"
    return head if line is None else f"{head}-{int(str(line)) % 10000:04}"


def _days(row: Row) -> Row:
    """Leave the hours out."""
    return {
        name: value.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
        if isinstance(value, datetime)
        else value
        for name, value in row.items()
    }

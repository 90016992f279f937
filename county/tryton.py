"""Books as a Tryton tells them: what is one record there is told alike by every contract."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from county.books import Books
from county.faults import LATE, LATE_BY, Planted, key_of
from county.world import Row

_SALES, _PURCHASES, _MOVES = "erp.sales_order.v1", "srm.purchase_order.v1", "erp.stock_move.v1"
# What is a move there, and whether it came or left.
_MOVED = {"erp.delivery.v1": -1, "srm.delivery.v1": 1}


def as_told(books: Books) -> None:
    """Name and date rows as Tryton does, and leave out what it has no room for."""
    for each in books["erp.product.v1"]:
        each["is_discontinued"] = False
    for each in books["erp.bom.v1"]:
        each["bom_version"] = f"BOM {each['parent_code']}"
    for each in books["mes.work_order.v1"]:
        each |= {"bom_version": f"BOM {each['product_code']}", "scrap_qty": 0}
    _partners(books["erp.customer.v1"], books[_SALES], "customer_code")
    _partners(books["srm.supplier.v1"], books[_PURCHASES], "supplier_code")
    closed = {each["order_id"] for each in books[_SALES] if each["status"] == "closed"}
    for each in books["erp.sales_order_line.v1"]:
        each["is_closed"] = each["order_id"] in closed
    _moves(books)


def _partners(partners: list[Row], orders: Iterable[Row], code: str) -> None:
    """Know partners by their orders only."""
    last: dict[object, datetime] = {}
    for each in orders:
        moment = each["updated_at"]
        if isinstance(moment, datetime):
            last[each[code]] = max(moment, last.get(each[code], moment))
    partners[:] = [
        each | {"updated_at": last[each[code]]} for each in partners if each[code] in last
    ]


def _moves(books: Books) -> None:
    """Let what left and what came be moves, which bear the numbers of their documents."""
    moves = {(each["move_no"], each["product_code"]): each for each in books[_MOVES]}
    lines = {each["order_line_id"]: each for each in books["erp.sales_order_line.v1"]}
    bought = {each["purchase_order_line_id"]: each for each in books["srm.purchase_order_line.v1"]}
    for each in books[_MOVES]:
        if each["move_kind"] == "other_receipt":
            each |= {"move_kind": "count", "move_no": each["stock_move_id"]}
        elif each["work_order_no"]:
            each["move_no"] = each["work_order_no"]
    for each in books["erp.delivery.v1"]:
        move = moves[each["delivery_no"], lines[each["order_line_id"]]["product_code"]]
        each["delivery_line_id"] = move["stock_move_id"]
    for each in books["srm.delivery.v1"]:
        product = bought[each["purchase_order_line_id"]]["product_code"]
        move = moves[each["delivery_no"], product]
        # What is refused at the gate has never come.
        each |= {"delivered_qty": each["accepted_qty"], "rejected_qty": 0}
        each["delivery_line_id"] = move["stock_move_id"]
    _agree(books)


def follow(books: Books, planted: Iterable[Planted]) -> tuple[Planted, ...]:
    """Let moves say what is said of what they moved; give what is planted in them too."""
    told: list[Planted] = []
    moves = {each["stock_move_id"]: each for each in books[_MOVES]}
    for each in planted:
        told.append(each)
        if each.contract not in _MOVED:
            continue
        rows = {key_of(each.contract, row): row for row in books[each.contract]}
        if each.key not in rows:
            books[_MOVES].remove(moves[each.key])
        elif each.fault == LATE:
            # What is entered last has the last number.
            number = str(max(int(str(row["stock_move_id"])) for row in books[_MOVES]) + 1)
            last = max(m for row in books[_MOVES] if isinstance(m := row["updated_at"], datetime))
            rows[each.key] |= {"delivery_line_id": number, "updated_at": last - LATE_BY}
            moves[each.key]["stock_move_id"] = number
            told[-1] = replace(each, key=number)
        told.append(replace(told[-1], contract=_MOVES))
    _agree(books)
    return tuple(told)


def _agree(books: Books) -> None:
    moves = {each["stock_move_id"]: each for each in books[_MOVES]}
    for contract, sign in _MOVED.items():
        for each in books[contract]:
            moves[each["delivery_line_id"]] |= {
                "moved_qty": sign * Decimal(str(each["delivered_qty"])),
                "moved_on": each["delivered_on"], "updated_at": each["updated_at"],
            }  # fmt: skip

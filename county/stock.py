"""What went in and out of the warehouses, and what lay there at each month's end."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from operator import attrgetter

from county.catalogue import PIECE, Material
from county.production import WorkOrder
from county.purchasing import Purchase, opening
from county.sales import Delivery
from county.world import Period, Row, entered, month_end
from kernel.money import round_fen

_FINISHED, _RAW = "CK-CP", "CK-YL"


@dataclass(frozen=True, slots=True)
class Move:
    """Something that changed what lies in a warehouse; out of it is negative."""

    day: date
    kind: str
    product: str
    unit: str
    cost: Decimal
    quantity: Decimal
    document: str
    work_order: str | None = None
    order_line: str | None = None
    purchase_order: str | None = None

    @property
    def warehouse(self) -> str:
        """Name the warehouse: one for what is made, one for what is bought."""
        return _FINISHED if self.unit == PIECE else _RAW


def make_moves(
    orders: tuple[WorkOrder, ...],
    purchases: tuple[Purchase, ...],
    deliveries: tuple[Delivery, ...],
    within: Period,
) -> list[Move]:
    """List all moves in the order of their days."""
    moves = [
        *(
            _bought(within.first, "other_receipt", each, quantity, "QC")
            for each, quantity in opening(orders, within).items()
        ),
        *(
            replace(
                _bought(each.received_on, "purchase_receipt", each.material, each.accepted,
                        f"RV{each.id}"),
                purchase_order=f"PO{each.day:%Y%m}-{each.id}",
            )
            for each in purchases
            if each.is_received(within)
        ),
        *(move for each in orders for move in _of_production(each)),
        *(
            Move(each.day, "sales_issue" if each.quantity > 0 else "sales_return",
                 each.line.product.code, PIECE, each.line.product.cost, -each.quantity,
                 f"DN{each.day:%Y%m}-{each.id:05d}", order_line=str(each.line.id))
            for each in deliveries
        ),
    ]  # fmt: skip
    # What comes in on a day is there for what goes out on it.
    return sorted(moves, key=lambda each: (each.day, each.quantity < 0))


def _bought(
    day: date,
    kind: str,
    material: Material,
    quantity: Decimal,
    document: str,
) -> Move:
    return Move(day, kind, material.code, material.unit, material.price, quantity, document)


def _of_production(each: WorkOrder) -> Iterator[Move]:
    if not each.reports:
        return
    number = f"WO{each.released_on:%Y%m}-{each.line.id:05d}"
    for component in each.line.product.components:
        taken = -component.quantity * each.planned
        issue = _bought(
            each.reports[0].day, "material_issue", component.material, taken, f"LL{each.id}"
        )
        yield replace(issue, work_order=number)
    if each.is_finished:
        product = each.line.product
        yield Move(
            each.reports[-1].day, "production_receipt", product.code, PIECE, product.cost,
            each.good, f"RK{each.id}", work_order=number,
        )  # fmt: skip


def rows_of(moves: list[Move], within: Period) -> dict[str, list[Row]]:
    """Write them in the columns of contracts."""
    return {
        "erp.stock_move.v1": [
            {
                "stock_move_id": str(n), "move_no": each.document, "moved_on": each.day,
                "move_kind": each.kind, "product_code": each.product,
                "warehouse_code": each.warehouse, "moved_qty": each.quantity,
                "unit_of_measure": each.unit,
                "cost_amount": round_fen(each.quantity * each.cost), "currency": "CNY",
                "work_order_no": each.work_order, "order_line_id": each.order_line,
                "purchase_order_no": each.purchase_order, "updated_at": entered(each.day, n),
            }
            for n, each in enumerate(moves, 1)
        ],
        "erp.inventory.v1": list(_counts(moves, within)),
    }  # fmt: skip


def _counts(moves: list[Move], within: Period) -> Iterator[Row]:
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    last: dict[str, Move] = {}
    left = iter(sorted(moves, key=attrgetter("day")))
    move = next(left, None)
    for n, month in enumerate(within.months):
        end = month_end(month)
        while move is not None and move.day <= end:
            held[move.product] += move.quantity
            last[move.product] = move
            move = next(left, None)
        for product in sorted(held):
            each = last[product]
            yield {
                "product_code": product, "warehouse_code": each.warehouse, "batch_no": "-",
                "counted_on": end, "on_hand_qty": held[product], "unit_of_measure": each.unit,
                "stock_amount": round_fen(held[product] * each.cost), "currency": "CNY",
                "last_moved_on": each.day, "updated_at": entered(end, n),
            }  # fmt: skip

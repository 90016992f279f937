"""Orders and what left for them: mostly in time, some in two parts, some late, some come back."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import count

from county.catalogue import PIECE, Catalogue, Product
from county.dice import Dice
from county.world import VAT, Company, Factory, Period, Row, approved, entered, invoice_number
from kernel.money import round_fen

DRAFT_EVERY, SHORT_EVERY, RETURN_EVERY = 75, 60, 90
# A short factory's drafts would be too few for anything to be planted in them.
_DRAFTS_AT_LEAST = 4
_SHORT_BY = 5


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a sales order."""

    id: int
    product: Product
    quantity: Decimal
    promised_on: date
    is_short: bool

    @property
    def net(self) -> Decimal:
        """Give its price."""
        return round_fen(self.quantity * self.product.price)

    @property
    def to_leave(self) -> Decimal:
        """Give what will leave for it: closed short, it is never delivered in full."""
        return self.quantity - _SHORT_BY if self.is_short else self.quantity


@dataclass(frozen=True, slots=True)
class Order:
    """A sales order; a draft has not been approved, and nothing follows from it."""

    id: int
    day: date
    customer: Company
    lines: tuple[Line, ...]
    is_draft: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """What left for one order line; negative when it came back."""

    id: int
    order: Order
    line: Line
    day: date
    quantity: Decimal


def make_orders(
    factory: Factory, catalogue: Catalogue, within: Period, dice: Dice
) -> tuple[Order, ...]:
    """Take orders all through the period, until its last weeks."""
    total = factory.orders_a_month * len(within.months)
    drafts = min(DRAFT_EVERY, max(1, total // _DRAFTS_AT_LEAST))
    ids = count(1)
    return tuple(
        _order(
            n,
            within.first + timedelta(days=1 + n * (within.days - 48) // total),
            (dice, catalogue, ids),
            is_draft=n % drafts == 0,
        )
        for n in range(1, total + 1)
    )


def _order(
    n: int, day: date, having: tuple[Dice, Catalogue, Iterator[int]], *, is_draft: bool
) -> Order:
    dice, catalogue, ids = having
    promised_on = day + timedelta(days=dice.number(26, 44))
    lines = tuple(
        Line(
            number := next(ids), dice.one_of(catalogue.products), Decimal(dice.number(2, 60) * 5),
            promised_on, is_short=number % SHORT_EVERY == 0,
        )
        for _ in range(dice.number(1, 4))
    )  # fmt: skip
    return Order(1000 + n, day, dice.one_of(catalogue.customers), lines, is_draft)


def make_deliveries(orders: tuple[Order, ...], within: Period, dice: Dice) -> tuple[Delivery, ...]:
    """Ship what was ordered, until the period ends."""
    ids = count(1)
    return tuple(
        Delivery(next(ids), order, line, day, quantity)
        for order in orders
        if not order.is_draft
        for line in order.lines
        for day, quantity in _shipments(dice, line)
        if day <= within.last
    )


def _shipments(dice: Dice, line: Line) -> list[tuple[date, Decimal]]:
    delay = dice.number(1, 18) if dice.happens(14) else -dice.number(0, 6)
    day = line.promised_on + timedelta(days=delay)
    if line.is_short:
        return [(day, line.to_leave)]
    if line.id % RETURN_EVERY == 0:
        return [(day, line.quantity), (day + timedelta(days=9), Decimal(-1))]
    if dice.happens(20):
        first = Decimal(int(line.quantity) // 2)
        return [(day - timedelta(days=4), first), (day, line.quantity - first)]
    return [(day, line.quantity)]


def rows_of(
    orders: tuple[Order, ...], deliveries: tuple[Delivery, ...], factory: Factory
) -> dict[str, list[Row]]:
    """Write them in the columns of contracts."""
    left: defaultdict[int, Decimal] = defaultdict(Decimal)
    for sent in deliveries:
        left[sent.line.id] += max(sent.quantity, Decimal(0))
    return {
        "erp.sales_order.v1": [_order_row(each, left) for each in orders],
        "erp.sales_order_line.v1": [
            {
                "order_line_id": str(line.id), "order_id": str(each.id),
                "product_code": line.product.code, "ordered_qty": line.quantity,
                "promised_on": line.promised_on, "line_net_amount": line.net, "currency": "CNY",
                "is_closed": line.is_short, "updated_at": _stamp(each),
            }
            for each in orders
            for line in each.lines
        ],
        "erp.delivery.v1": [
            {
                "delivery_line_id": str(each.id), "delivery_no": f"DN{each.day:%Y%m}-{each.id:05d}",
                "order_line_id": str(each.line.id), "delivered_on": each.day,
                "delivered_qty": each.quantity, "updated_at": approved(each.day, each.id),
            }
            for each in deliveries
        ],
        "erp.sales_invoice.v1": [
            _invoice_row(each, factory) for each in deliveries if each.quantity > 0
        ],
    }  # fmt: skip


def _stamp(order: Order) -> object:
    return entered(order.day, order.id) if order.is_draft else approved(order.day, order.id)


def _order_row(order: Order, left: Mapping[int, Decimal]) -> Row:
    is_closed = all(left.get(line.id) == line.to_leave for line in order.lines)
    return {
        "order_id": str(order.id), "order_no": f"SO{order.day:%Y%m}-{order.id - 1000:04d}",
        "ordered_on": order.day, "customer_code": order.customer.code,
        "customer_name": order.customer.name, "currency": "CNY",
        "status": "draft" if order.is_draft else "closed" if is_closed else "approved",
        "updated_at": _stamp(order),
    }  # fmt: skip


def _invoice_row(each: Delivery, factory: Factory) -> Row:
    net = round_fen(each.quantity * each.line.product.price)
    serial = 1_000_000 * factory.number + 500_000 + each.id
    return {
        "invoice_id": str(each.id), "line_no": 1,
        "invoice_no": invoice_number(each.day.year, serial), "issued_on": each.day,
        "customer_code": each.order.customer.code, "buyer_uscc": each.order.customer.uscc,
        "buyer_name": each.order.customer.name, "product_code": each.line.product.code,
        "item_text": f"*家具*{each.line.product.name}", "invoiced_qty": each.quantity,
        "unit_of_measure": PIECE, "net_amount": net, "tax_rate": VAT,
        "tax_amount": round_fen(net * VAT), "currency": "CNY", "is_export": False,
        "order_line_id": str(each.line.id), "is_red": False,
        "updated_at": approved(each.day, each.id),
    }  # fmt: skip

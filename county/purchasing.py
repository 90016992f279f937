"""What production takes is bought a month before, received, invoiced and paid."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import count

from county.catalogue import MATERIALS, Catalogue, Material
from county.dice import Dice
from county.production import WorkOrder
from county.world import VAT, Company, Factory, Period, Row, approved, invoice_number, month_after
from kernel.money import round_fen

MATERIAL_ACCOUNT = "1403"
Need = tuple[date, Material, Decimal]


@dataclass(frozen=True, slots=True)
class Purchase:
    """A month's order of one material, what came of it and how much of that was good."""

    id: int
    day: date
    supplier: Company
    material: Material
    ordered: Decimal
    received_on: date
    rejected: Decimal

    @property
    def accepted(self) -> Decimal:
        """Give what went to the warehouse, and is invoiced."""
        return self.ordered - self.rejected

    def is_received(self, within: Period) -> bool:
        """Tell whether it came within the period."""
        return self.received_on <= within.last


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line of a purchase invoice, and the account that it is booked to."""

    item: str
    net: Decimal
    tax: Decimal
    account: str = MATERIAL_ACCOUNT


@dataclass(frozen=True, slots=True)
class Invoice:
    """A purchase invoice; what is not booked the ledger does not know."""

    id: int
    number: str
    day: date
    vendor: Company
    lines: tuple[InvoiceLine, ...]
    is_booked: bool = True
    red_of: str = ""

    @property
    def total(self) -> Decimal:
        """Add up the invoice, with tax."""
        return sum((line.net + line.tax for line in self.lines), Decimal("0.00"))


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that left the factory for an invoice."""

    id: int
    day: date
    vendor: Company
    invoice: str
    amount: Decimal


def needs(orders: tuple[WorkOrder, ...]) -> Iterator[Need]:
    """Tell what was taken from the warehouse when, for what was begun."""
    for each in orders:
        if each.reports:
            for component in each.line.product.components:
                yield each.reports[0].day, component.material, component.quantity * each.planned


def opening(orders: tuple[WorkOrder, ...], within: Period) -> dict[Material, Decimal]:
    """Give what must lie in the warehouse when the period begins: two months of work."""
    until = month_after(within.first, 2)
    stock: dict[Material, Decimal] = dict.fromkeys(MATERIALS, Decimal(0))
    for day, material, quantity in needs(orders):
        if day < until:
            stock[material] += quantity
    return stock


def make_purchases(
    orders: tuple[WorkOrder, ...], catalogue: Catalogue, within: Period, dice: Dice
) -> tuple[Purchase, ...]:
    """Order each month what the month after the next will take."""
    taken: defaultdict[tuple[date, Material], Decimal] = defaultdict(Decimal)
    for day, material, quantity in needs(orders):
        taken[day.replace(day=1), material] += quantity
    made: list[Purchase] = []
    for month in within.months:
        for supplier, material in zip(catalogue.suppliers, MATERIALS, strict=True):
            wanted = taken[month_after(month, 2), material]
            if not wanted:
                continue
            rejected = Decimal(dice.number(1, 9) if dice.happens(10) else 0)
            day = month + timedelta(days=dice.number(2, 9))
            received_on = day + timedelta(days=dice.number(8, 20))
            made.append(
                Purchase(
                    7000 + len(made) + 1, day, supplier, material, wanted + rejected,
                    received_on, rejected,
                )
            )  # fmt: skip
    return tuple(made)


def make_invoices(
    purchases: tuple[Purchase, ...], factory: Factory, within: Period
) -> tuple[Invoice, ...]:
    """Invoice what was accepted, some days after it came."""
    made = []
    for n, each in enumerate(purchases, 1):
        day = each.received_on + timedelta(days=4)
        if day <= within.last:
            net = round_fen(each.accepted * each.material.price)
            number = invoice_number(day.year, 1_000_000 * factory.number + n)
            line = InvoiceLine(f"*家具配件*{each.material.name}", net, round_fen(net * VAT))
            made.append(Invoice(2000 + n, number, day, each.supplier, (line,)))
    return tuple(made)


def make_payments(
    invoices: tuple[Invoice, ...],
    agreed: dict[str, tuple[tuple[date, Decimal], ...]],
    within: Period,
    dice: Dice,
) -> tuple[Payment, ...]:
    """Pay each invoice in full and in time, but where something else was agreed."""
    ids = count(1)
    made = []
    for each in invoices:
        due = each.day + timedelta(days=dice.number(20, 70))
        for day, amount in agreed.get(each.number, ((due, each.total),)):
            if day <= within.last:
                made.append(Payment(next(ids), day, each.vendor, each.number, amount))
    return tuple(made)


def rows_of(
    purchases: tuple[Purchase, ...],
    invoices: tuple[Invoice, ...],
    payments: tuple[Payment, ...],
    factory: Factory,
    within: Period,
) -> dict[str, list[Row]]:
    """Write them in the columns of contracts."""
    return {
        **_order_rows(purchases, within),
        "srm.delivery.v1": [_delivery_row(each) for each in purchases if each.is_received(within)],
        "erp.purchase_invoice.v1": [
            row for each in invoices for row in _invoice_rows(each, factory)
        ],
        "erp.payment.v1": [_payment_row(each) for each in payments],
    }


def _order_rows(purchases: tuple[Purchase, ...], within: Period) -> dict[str, list[Row]]:
    return {
        "srm.purchase_order.v1": [
            {
                "purchase_order_id": str(each.id), "purchase_order_no": _number(each),
                "ordered_on": each.day, "supplier_code": each.supplier.code, "currency": "CNY",
                "status": "closed" if each.is_received(within) else "approved",
                "is_online": True, "is_confirmed": True,
                "updated_at": approved(each.day, each.id),
            }
            for each in purchases
        ],
        "srm.purchase_order_line.v1": [
            {
                "purchase_order_line_id": str(each.id), "purchase_order_id": str(each.id),
                "product_code": each.material.code, "material_class": each.material.material_class,
                "ordered_qty": each.ordered, "unit_of_measure": each.material.unit,
                "line_net_amount": round_fen(each.ordered * each.material.price),
                "currency": "CNY", "promised_on": each.day + timedelta(days=18),
                "is_closed": each.is_received(within), "updated_at": approved(each.day, each.id),
            }
            for each in purchases
        ],
    }  # fmt: skip


def _delivery_row(each: Purchase) -> Row:
    return {
        "delivery_line_id": str(each.id), "delivery_no": f"RV{each.id}",
        "purchase_order_line_id": str(each.id), "supplier_code": each.supplier.code,
        "delivered_on": each.received_on, "delivered_qty": each.ordered,
        "accepted_qty": each.accepted, "rejected_qty": each.rejected,
        "unit_of_measure": each.material.unit,
        "updated_at": approved(each.received_on, each.id),
    }  # fmt: skip


def _invoice_rows(each: Invoice, factory: Factory) -> Iterator[Row]:
    for row, line in enumerate(each.lines, 1):
        yield {
            "invoice_id": str(each.id), "line_no": row, "invoice_no": each.number,
            "issued_on": each.day, "seller_uscc": each.vendor.uscc,
            "seller_name": each.vendor.name, "buyer_uscc": factory.uscc,
            "item_text": line.item, "net_amount": line.net, "tax_rate": VAT,
            "tax_amount": line.tax, "currency": "CNY", "is_red": bool(each.red_of),
            "updated_at": approved(each.day, each.id),
            **({"red_of_invoice_no": each.red_of} if each.red_of else {}),
        }  # fmt: skip


def _payment_row(each: Payment) -> Row:
    return {
        "payment_id": str(each.id), "paid_on": each.day, "payee_uscc": each.vendor.uscc,
        "invoice_no": each.invoice, "paid_amount": each.amount, "currency": "CNY",
        "bank_reference": f"HD{each.day:%Y%m%d}{each.id:06d}",
        "updated_at": approved(each.day, each.id),
    }  # fmt: skip


def _number(each: Purchase) -> str:
    return f"PO{each.day:%Y%m}-{each.id}"

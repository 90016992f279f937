"""A furniture factory's year, from a seed: orders, deliveries, purchases, payments, ledger."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import count

from county import retrofit
from county.dice import Dice
from county.world import (
    VAT,
    YEAR,
    Books,
    Company,
    Delivery,
    Entry,
    Invoice,
    InvoiceLine,
    Order,
    OrderLine,
    Payment,
    Product,
    company_uscc,
    invoice_number,
)
from kernel.money import round_fen

ORDERS = 760
INVOICES = 240
DRAFT_EVERY, SHORT_EVERY, RETURN_EVERY = 75, 60, 90
LAST_DAY = date(YEAR, 12, 31)
RECEIVABLE, REVENUE, OUTPUT_TAX = "1122", "6001", "22210105"
PAYABLE, INPUT_TAX, BANK, MATERIAL = "2202", "22210101", "1002", "1403"
ACCOUNTS = {
    BANK: "银行存款",
    RECEIVABLE: "应收账款",
    MATERIAL: "原材料",
    retrofit.FIXED: "固定资产",
    retrofit.INTANGIBLE: "无形资产",
    PAYABLE: "应付账款",
    INPUT_TAX: "应交增值税（进项税额）",
    OUTPUT_TAX: "应交增值税（销项税额）",
    REVENUE: "主营业务收入",
}
_MATERIALS = ("海绵", "面料", "钢制五金", "塑料件", "胶合板", "气压棒", "脚轮", "包装纸箱")
_CHAIRS = ("办公椅", "会议椅", "电竞椅", "休闲椅", "吧椅")
# Ids of the rows that are wrong on purpose; `county.truth` says what must become of them.
NEGATIVE_QUANTITY, MISSING_DAY = 307, 1207
BAD_VENDOR = Company("V666", "税号录错的供应商（虚构）", "91330523MA9666666A")
BAD_VENDOR_INVOICE, SHORT_NUMBER_INVOICE = 120, 180


def make_books(seed: int) -> Books:
    """Make the books: the same seed gives the same books, everywhere."""
    customers = tuple(
        Company(f"C{n:03d}", f"演示客户{n:02d}（虚构）", company_uscc(n)) for n in range(1, 13)
    )
    vendors = tuple(
        Company(f"V{n:03d}", f"演示{item}供应商（虚构）", company_uscc(100 + n))
        for n, item in enumerate(_MATERIALS, 1)
    )
    products = tuple(
        Product(f"CP-{n:03d}", f"演示{_CHAIRS[n % len(_CHAIRS)]}{n:02d}型", Decimal(120 + 37 * n))
        for n in range(1, 21)
    )
    orders = tuple(_orders(Dice(seed, "orders"), customers, products))
    deliveries = tuple(_deliveries(Dice(seed, "deliveries"), orders))
    invoices = (*_invoices(Dice(seed, "invoices"), vendors), *_retrofit_invoices())
    payments = tuple(_payments(Dice(seed, "payments"), invoices))
    return Books(
        customers=customers,
        vendors=(*vendors, BAD_VENDOR, *retrofit.VENDORS),
        products=products,
        orders=orders,
        deliveries=deliveries,
        invoices=invoices,
        payments=payments,
        entries=tuple(_entries(orders, invoices, payments)),
    )


def _orders(
    dice: Dice, customers: tuple[Company, ...], products: tuple[Product, ...]
) -> Iterator[Order]:
    line_ids = count(1)
    for n in range(1, ORDERS + 1):
        day = date(YEAR, 1, 2) + timedelta(days=n * 318 // ORDERS)
        promised_on = day + timedelta(days=dice.number(12, 40))
        lines = tuple(
            _order_line(dice, next(line_ids), products, promised_on)
            for _ in range(dice.number(1, 4))
        )
        yield Order(
            id=1000 + n,
            number=f"SO{day:%Y%m}-{n:04d}",
            day=day,
            customer=dice.one_of(customers),
            lines=lines,
            is_draft=n % DRAFT_EVERY == 0,
            is_closed=all(line.promised_on and line.promised_on <= LAST_DAY for line in lines),
        )


def _order_line(
    dice: Dice, number: int, products: tuple[Product, ...], promised_on: date
) -> OrderLine:
    product = dice.one_of(products)
    quantity = Decimal(dice.number(2, 60) * 5)
    line = OrderLine(
        id=number,
        product=product.code,
        quantity=quantity,
        promised_on=promised_on,
        net=round_fen(quantity * product.price),
        # Closed short: it will never be delivered in full.
        is_closed=number % SHORT_EVERY == 0,
    )
    if number == NEGATIVE_QUANTITY:
        return replace(line, quantity=-quantity)
    return replace(line, promised_on=None) if number == MISSING_DAY else line


def _deliveries(dice: Dice, orders: tuple[Order, ...]) -> Iterator[Delivery]:
    ids = count(1)
    for order in orders:
        for line in () if order.is_draft else order.lines:
            for day, quantity in _shipments(dice, line):
                if day <= LAST_DAY:
                    number = next(ids)
                    yield Delivery(number, f"DN{day:%Y%m}-{number:05d}", line.id, day, quantity)


def _shipments(dice: Dice, line: OrderLine) -> list[tuple[date, Decimal]]:
    """Decide when what leaves: mostly in time, some in two parts, some late, some come back."""
    if line.promised_on is None or line.quantity <= 0:
        return []
    late = dice.happens(14)
    delay = dice.number(1, 18) if late else -dice.number(0, 6)
    day = line.promised_on + timedelta(days=delay)
    if line.is_closed:
        return [(day, line.quantity - 5)]
    if line.id % RETURN_EVERY == 0:
        return [(day, line.quantity), (day + timedelta(days=9), Decimal(-1))]
    if dice.happens(20):
        first = Decimal(int(line.quantity) // 2)
        rest = line.quantity - first
        return [(day - timedelta(days=4), first), (day, rest)]
    return [(day, line.quantity)]


def _invoices(dice: Dice, vendors: tuple[Company, ...]) -> Iterator[Invoice]:
    for n in range(1, INVOICES + 1):
        day = date(YEAR, 1, 3) + timedelta(days=n * 355 // INVOICES)
        vendor = BAD_VENDOR if n == BAD_VENDOR_INVOICE else dice.one_of(vendors)
        number = invoice_number(YEAR, n)
        if n == SHORT_NUMBER_INVOICE:
            number = number[:-1]
        lines = []
        for _ in range(dice.number(1, 3)):
            net = Decimal(dice.number(80_000, 6_000_000)) / 100
            item = f"*家具配件*{dice.one_of(_MATERIALS)}"
            lines.append(InvoiceLine(item, net, round_fen(net * VAT), MATERIAL))
        yield Invoice(2000 + n, number, day, vendor, tuple(lines))


def _retrofit_invoices() -> Iterator[Invoice]:
    for n, bought in enumerate(retrofit.PURCHASES, 1):
        lines = tuple(InvoiceLine(i.text, i.net, i.tax, i.account) for i in bought.items)
        yield Invoice(9000 + n, bought.number, bought.day, bought.vendor, lines, bought.is_booked)


def _payments(dice: Dice, invoices: tuple[Invoice, ...]) -> Iterator[Payment]:
    ids = count(1)
    claimed = {each.number: each.payments for each in retrofit.PURCHASES}
    for invoice in invoices:
        due = invoice.day + timedelta(days=dice.number(20, 70))
        for day, amount in claimed.get(invoice.number, ((due, invoice.total),)):
            if day <= LAST_DAY:
                n = next(ids)
                reference = f"HD{day:%Y%m%d}{n:06d}"
                yield Payment(n, day, invoice.vendor, invoice.number, amount, reference)


def _entries(
    orders: tuple[Order, ...], invoices: tuple[Invoice, ...], payments: tuple[Payment, ...]
) -> Iterator[Entry]:
    """Book every document as a voucher whose two sides are equal."""
    ids, vouchers = count(1), count(1)
    for day, summary, invoice, sides in (
        *_sales(orders),
        *_purchases(invoices),
        *_settlements(payments),
    ):
        voucher = next(vouchers)
        for line, (account, debit, credit) in enumerate(sides, 1):
            yield Entry(next(ids), voucher, line, day, account, summary, invoice, debit, credit)


Side = tuple[str, Decimal, Decimal]
Voucher = tuple[date, str, str | None, list[Side]]
_NIL = Decimal("0.00")


def _sales(orders: tuple[Order, ...]) -> Iterator[Voucher]:
    for month in range(1, 13):
        lines = [
            line.net
            for order in orders
            for line in order.lines
            if order.day.month == month and not order.is_draft
        ]
        net = sum(lines, _NIL)
        tax = round_fen(net * VAT)
        day = date(YEAR, month, 28)
        sides = [(RECEIVABLE, net + tax, _NIL), (REVENUE, _NIL, net), (OUTPUT_TAX, _NIL, tax)]
        yield day, f"{month}月销售收入", None, sides


def _purchases(invoices: tuple[Invoice, ...]) -> Iterator[Voucher]:
    for invoice in invoices:
        if invoice.is_booked:
            sides = [(line.account, line.net, _NIL) for line in invoice.lines]
            sides.append((INPUT_TAX, sum((line.tax for line in invoice.lines), _NIL), _NIL))
            sides.append((PAYABLE, _NIL, invoice.total))
            summary = f"购入{invoice.lines[0].item}"
            yield invoice.day + timedelta(days=2), summary, invoice.number, sides


def _settlements(payments: tuple[Payment, ...]) -> Iterator[Voucher]:
    for payment in payments:
        sides = [(PAYABLE, payment.amount, _NIL), (BANK, _NIL, payment.amount)]
        yield payment.day, f"付{payment.vendor.name}", payment.invoice, sides

"""The ledger: every document is a voucher, the two sides of which are equal."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import count

from county import retrofit
from county.purchasing import MATERIAL_ACCOUNT, Invoice, Payment
from county.world import NIL, Period, Row, entered, month_end

RECEIVABLE, REVENUE, OUTPUT_TAX = "1122", "6001", "22210105"
PAYABLE, INPUT_TAX, BANK = "2202", "22210101", "1002"
ACCOUNTS = {
    BANK: "银行存款",
    RECEIVABLE: "应收账款",
    MATERIAL_ACCOUNT: "原材料",
    retrofit.FIXED: "固定资产",
    retrofit.INTANGIBLE: "无形资产",
    PAYABLE: "应付账款",
    INPUT_TAX: "应交增值税（进项税额）",
    OUTPUT_TAX: "应交增值税（销项税额）",
    REVENUE: "主营业务收入",
}
Side = tuple[str, Decimal, Decimal]
Voucher = tuple[date, str, str | None, list[Side]]


def rows_of(
    sold: Sequence[Row],
    invoices: tuple[Invoice, ...],
    payments: tuple[Payment, ...],
    within: Period,
) -> list[Row]:
    """Book sales by the month, purchases and payments one by one."""
    ids = count(1)
    vouchers = (*_sales(sold), *_purchases(invoices), *_settlements(payments))
    return [
        {
            "entry_id": str(number := next(ids)), "voucher_no": f"记-{day:%m}-{voucher:04d}",
            "booked_on": day, "account_code": account, "account_name": ACCOUNTS[account],
            "summary": summary, "invoice_no": invoice, "debit_amount": debit,
            "credit_amount": credit, "currency": "CNY", "updated_at": entered(day, number),
        }
        for voucher, (day, summary, invoice, sides) in enumerate(vouchers, 1)
        if day <= within.last
        for account, debit, credit in sides
    ]  # fmt: skip


def _sales(sold: Sequence[Row]) -> Iterator[Voucher]:
    net: defaultdict[date, Decimal] = defaultdict(Decimal)
    tax: defaultdict[date, Decimal] = defaultdict(Decimal)
    for each in sold:
        issued = each["issued_on"]
        if isinstance(issued, date):
            net[month_end(issued)] += Decimal(str(each["net_amount"]))
            tax[month_end(issued)] += Decimal(str(each["tax_amount"]))
    for day in sorted(net):
        yield day, f"{day.month}月销售收入", None, [
            (RECEIVABLE, net[day] + tax[day], NIL),
            (REVENUE, NIL, net[day]),
            (OUTPUT_TAX, NIL, tax[day]),
        ]  # fmt: skip


def _purchases(invoices: tuple[Invoice, ...]) -> Iterator[Voucher]:
    for invoice in invoices:
        if invoice.is_booked:
            sides = [(line.account, line.net, NIL) for line in invoice.lines]
            sides.append((INPUT_TAX, sum((line.tax for line in invoice.lines), NIL), NIL))
            sides.append((PAYABLE, NIL, invoice.total))
            summary = f"购入{invoice.lines[0].item}"
            yield invoice.day + timedelta(days=2), summary, invoice.number, sides


def _settlements(payments: tuple[Payment, ...]) -> Iterator[Voucher]:
    for payment in payments:
        sides = [(PAYABLE, payment.amount, NIL), (BANK, NIL, payment.amount)]
        yield payment.day, f"付{payment.vendor.name}", payment.invoice, sides

"""What was planted, and what must come out; the claim's answers are worked out by hand."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from county import books as planted
from county.retrofit import CLAIM_ID
from county.world import FACTORY, Books, Invoice, OrderLine, Payment

SEED = 20240115


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of the ERP that the gate must put into quarantine, and for which reason."""

    contract: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class LineTruth:
    """What must become of a line of the claim: outcome, amount, and the rule that says so."""

    line_no: int
    outcome: str
    allowed_cny: Decimal
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class ClaimTruth:
    """What must become of the claim."""

    claim_id: str
    enterprise_uscc: str
    lines: tuple[LineTruth, ...]
    eligible_cny: Decimal
    award_cny: Decimal


def _line(line_no: int, outcome: str, allowed: str, rule: str, why: str) -> LineTruth:
    return LineTruth(line_no, outcome, Decimal(allowed), rule, why)


CLAIM = ClaimTruth(
    claim_id=CLAIM_ID,
    enterprise_uscc=FACTORY,
    lines=(
        _line(1, "allowed", "286725.66", "", "software, paid in two parts, booked"),
        _line(2, "allowed", "141592.92", "", "software, paid and booked"),
        # 78,761.06 × 53,400.00 ÷ 89,000.00 = 47,256.636
        _line(3, "reduced", "47256.64", "R04", "six tenths of the invoice were paid"),
        _line(4, "allowed", "44247.79", "", "first line of an invoice with two"),
        _line(5, "allowed", "15929.20", "", "second line of the same invoice"),
        _line(6, "refused", "0.00", "R07", "an office computer is no supporting hardware"),
        _line(7, "refused", "0.00", "R15", "paid, but the ledger never booked it"),
        _line(8, "refused", "0.00", "R15", "the claim says 10,000 yuan more than the invoice"),
        _line(9, "refused", "0.00", "R04", "nothing was paid"),
        _line(10, "refused", "0.00", "R01", "issued in 2022, before the window"),
        _line(11, "refused", "0.00", "R06", "the invoice line of line 1 again"),
    ),
    # 286,725.66 + 141,592.92 + 47,256.64 + 44,247.79 + 15,929.20
    eligible_cny=Decimal("535752.21"),
    # A quarter, for an expansion enterprise: 133,938.0525
    award_cny=Decimal("133938.05"),
)


def bad_rows(books: Books) -> tuple[BadRow, ...]:
    """List the rows that must not land."""
    lines = [
        BadRow("erp.sales_order_line.v1", str(line.id), reason)
        for line in _lines(books)
        if (reason := _wrong_line(line))
    ]
    invoices = [
        BadRow("erp.purchase_invoice.v1", f"{invoice.id}/{row}", reason)
        for invoice in books.invoices
        if (reason := _wrong_document(invoice, "seller_uscc"))
        for row in range(1, len(invoice.lines) + 1)
    ]
    payments = [
        BadRow("erp.payment.v1", str(each.id), reason)
        for each in books.payments
        if (reason := _wrong_document(each, "payee_uscc"))
    ]
    short = _short_number(books)
    entries = [
        BadRow("erp.ledger_entry.v1", str(each.id), "invoice_no.pattern")
        for each in books.entries
        if each.invoice == short
    ]
    return (*lines, *invoices, *payments, *entries)


def _lines(books: Books) -> list[OrderLine]:
    return [line for order in books.orders for line in order.lines]


def _wrong_line(line: OrderLine) -> str:
    if line.promised_on is None:
        return "promised_on.required"
    return "ordered_qty.minimum" if line.quantity <= 0 else ""


def _wrong_document(document: Invoice | Payment, partner: str) -> str:
    number = document.number if isinstance(document, Invoice) else document.invoice
    if document.vendor == planted.BAD_VENDOR:
        return f"{partner}.format"
    return "invoice_no.pattern" if len(number) != len("24332000000000000001") else ""


def _short_number(books: Books) -> str:
    bad = 2000 + planted.SHORT_NUMBER_INVOICE
    return next(each.number for each in books.invoices if each.id == bad)


def produced(books: Books) -> dict[str, int]:
    """Count the rows that the connector must read, per contract."""
    return {
        "erp.sales_order.v1": len(books.orders),
        "erp.sales_order_line.v1": len(_lines(books)),
        "erp.delivery.v1": len(books.deliveries),
        "erp.purchase_invoice.v1": sum(len(each.lines) for each in books.invoices),
        "erp.payment.v1": len(books.payments),
        "erp.ledger_entry.v1": len(books.entries),
    }


def landed(books: Books) -> dict[str, int]:
    """Count the rows that must land, per contract."""
    bad = Counter(each.contract for each in bad_rows(books))
    return {contract: count - bad[contract] for contract, count in produced(books).items()}


def on_time(books: Books) -> dict[str, tuple[int, int]]:
    """Count, per month of promise, the lines delivered in full by then, and all lines."""
    by_day: Counter[int] = Counter()
    promised = {line.id: line.promised_on for line in _lines(books)}
    for each in books.deliveries:
        due = promised[each.order_line]
        if due and each.day <= due:
            by_day[each.order_line] += int(each.quantity)
    kept: Counter[str] = Counter()
    due_lines: Counter[str] = Counter()
    for order in books.orders:
        for line in () if order.is_draft else order.lines:
            if line.promised_on and line.quantity > 0:
                month = f"{line.promised_on:%Y-%m}"
                due_lines[month] += 1
                kept[month] += by_day[line.id] >= line.quantity
    return {month: (kept[month], due_lines[month]) for month in sorted(due_lines)}

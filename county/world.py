"""The nouns of the simulated county: documents of one furniture factory, made up throughout."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from kernel.ids import uscc_check_character

FACTORY = "91330523719500014U"
FACTORY_NAME = "安吉演示家具有限公司（虚构）"
REGION = "330523"
INDUSTRY = "C2130"
YEAR = 2024
VAT = Decimal("0.13")


def authority_uscc() -> str:
    """Give the code of the county's bureau: registered by the staffing office, as an organ."""
    first = "11330523MB1900001"
    return first + uscc_check_character(first)


def company_uscc(number: int) -> str:
    """Give the code of a made-up company of the county."""
    first = f"91330523MA9{number:06d}"
    return first + uscc_check_character(first)


def invoice_number(year: int, number: int) -> str:
    """Give the twenty digits of a fully digitalised e-invoice of Zhejiang."""
    return f"{year % 100:02d}332{number:015d}"


@dataclass(frozen=True, slots=True)
class Company:
    """A customer or a vendor."""

    code: str
    name: str
    uscc: str


@dataclass(frozen=True, slots=True)
class Product:
    """What is sold."""

    code: str
    name: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line of a sales order; a planted one may lack its day."""

    id: int
    product: str
    quantity: Decimal
    promised_on: date | None
    net: Decimal
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A sales order; a draft has not been approved."""

    id: int
    number: str
    day: date
    customer: Company
    lines: tuple[OrderLine, ...]
    is_draft: bool = False
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """What left for one order line; negative when it came back."""

    id: int
    number: str
    order_line: int
    day: date
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line of a purchase invoice."""

    item: str
    net: Decimal
    tax: Decimal
    account: str


@dataclass(frozen=True, slots=True)
class Invoice:
    """A purchase invoice."""

    id: int
    number: str
    day: date
    vendor: Company
    lines: tuple[InvoiceLine, ...]
    is_booked: bool = True

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
    bank_reference: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a voucher."""

    id: int
    voucher: int
    line: int
    day: date
    account: str
    summary: str
    invoice: str | None
    debit: Decimal
    credit: Decimal


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that the factory's ERP holds."""

    customers: tuple[Company, ...]
    vendors: tuple[Company, ...]
    products: tuple[Product, ...]
    orders: tuple[Order, ...]
    deliveries: tuple[Delivery, ...]
    invoices: tuple[Invoice, ...]
    payments: tuple[Payment, ...]
    entries: tuple[Entry, ...]

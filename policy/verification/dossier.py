"""Everything that is known of a claim, frozen: what was claimed, and the factory's own books."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import TypeVar

from kernel import canonical

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Project:
    """A retrofit as the county filed it."""

    project_id: str
    enterprise_uscc: str
    programme: str
    title: str
    batch: str
    filed_on: date
    contract_signed_on: date
    finished_on: date | None
    granted_before_cny: Decimal
    other_awards_cny: Decimal
    origin: str


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """A line of spending as claimed."""

    claim_id: str
    line_no: int
    project_id: str
    invoice_no: str
    invoice_line_no: int
    issued_on: date
    seller_uscc: str
    buyer_uscc: str
    item_text: str
    category: str
    net_cny: Decimal
    tax_cny: Decimal
    origin: str

    @property
    def key(self) -> Key:
        """Name the line; the later of two has the greater key."""
        return self.claim_id, self.line_no


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line of an invoice in the factory's own books."""

    invoice_no: str
    line_no: int
    issued_on: date
    seller_uscc: str
    buyer_uscc: str
    item_text: str
    net_amount: Decimal
    tax_amount: Decimal
    currency: str
    is_red: bool
    red_of_invoice_no: str | None
    origin: str

    @property
    def key(self) -> Key:
        """Name the line."""
        return self.invoice_no, self.line_no


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment in the factory's own books."""

    payment_id: str
    invoice_no: str
    payee_uscc: str
    paid_on: date
    paid_amount: Decimal
    currency: str
    origin: str

    @property
    def key(self) -> Key:
        """Name the payment."""
        return self.payment_id, 0


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """An entry in the factory's own ledger."""

    entry_id: str
    voucher_no: str
    invoice_no: str
    booked_on: date
    account_code: str
    debit_amount: Decimal
    credit_amount: Decimal
    currency: str
    origin: str

    @property
    def key(self) -> Key:
        """Name the entry."""
        return self.entry_id, 0


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The outcome of acceptance."""

    project_id: str
    accepted_on: date
    outcome: str
    reviewer: str
    origin: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A year's row of the enterprise in the government's list."""

    enterprise_uscc: str
    list_year: int
    region_code: str
    industry_code: str
    is_above_scale: bool
    origin: str

    @property
    def key(self) -> Key:
        """Name the row."""
        return self.enterprise_uscc, self.list_year


Row = TypeVar("Row", ClaimLine, InvoiceLine, Payment, LedgerEntry, Listing)


@dataclass(frozen=True, slots=True)
class Dossier:
    """A claim with its evidence; equal facts are equal dossiers, in whatever order they came."""

    claim_id: str
    project: Project
    lines: tuple[ClaimLine, ...]
    invoices: tuple[InvoiceLine, ...]
    payments: tuple[Payment, ...]
    ledger: tuple[LedgerEntry, ...]
    acceptance: Acceptance | None
    listings: tuple[Listing, ...]
    other_uses: tuple[ClaimLine, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", _in_order(self.lines))
        object.__setattr__(self, "invoices", _in_order(self.invoices))
        object.__setattr__(self, "payments", _in_order(self.payments))
        object.__setattr__(self, "ledger", _in_order(self.ledger))
        object.__setattr__(self, "listings", _in_order(self.listings))
        object.__setattr__(self, "other_uses", _in_order(self.other_uses))


def _in_order(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Sort by key; rows that share one, by all that they say."""
    return tuple(sorted(rows, key=lambda row: (row.key, canonical.dumps(asdict(row)))))

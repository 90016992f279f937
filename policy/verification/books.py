"""The factory's own rows of a claimed invoice; the claim itself is never evidence of itself."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from kernel.money import NOTHING
from policy.lang import Case
from policy.verification.dossier import ClaimLine, Dossier, InvoiceLine, LedgerEntry, Payment

Row = TypeVar("Row", InvoiceLine, Payment, LedgerEntry)
YUAN = "CNY"


@dataclass(frozen=True, slots=True)
class Books:
    """What the factory recorded of one invoice."""

    invoice: tuple[InvoiceLine, ...]
    line: InvoiceLine | None
    reds: tuple[InvoiceLine, ...]
    payments: tuple[Payment, ...]
    ledger: tuple[LedgerEntry, ...]

    @property
    def net(self) -> Decimal:
        """Add up the invoice, without tax."""
        return sum((each.net_amount for each in self.invoice), NOTHING)

    @property
    def total(self) -> Decimal:
        """Add up the invoice, with tax."""
        return sum((each.net_amount + each.tax_amount for each in self.invoice), NOTHING)


def books_of(dossier: Dossier, line: ClaimLine) -> Books:
    """Find what the factory recorded of the invoice that a line names."""
    invoice = _once(each for each in dossier.invoices if each.invoice_no == line.invoice_no)
    named = [each for each in invoice if each.line_no == line.invoice_line_no]
    return Books(
        invoice=invoice,
        line=named[0] if named else None,
        reds=_once(
            each
            for each in dossier.invoices
            if each.is_red and line.invoice_no in (each.invoice_no, each.red_of_invoice_no)
        ),
        payments=_once(each for each in dossier.payments if each.invoice_no == line.invoice_no),
        ledger=_once(each for each in dossier.ledger if each.invoice_no == line.invoice_no),
    )


def claimed(line: ClaimLine, case: Case) -> Decimal:
    """Give the amount claimed, net of or with tax as the programme counts it."""
    if case.choice("amount_basis") == "gross":
        return line.net_cny + line.tax_cny
    return line.net_cny


def foreign(rows: Iterable[Row]) -> bool:
    """Tell whether an amount is in another currency than yuan."""
    return any(row.currency != YUAN for row in rows)


def contradictory(rows: Iterable[Row]) -> bool:
    """Tell whether two rows bear one key and say different things."""
    keys = [row.key for row in rows]
    return len(keys) != len(set(keys))


def origins(rows: Iterable[Row]) -> tuple[str, ...]:
    """List where rows come from."""
    return tuple(row.origin for row in rows)


def _once(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Keep one of the rows that say the same, as when two systems hold the same invoice."""
    first: dict[Row, Row] = {}
    for row in rows:
        first.setdefault(replace(row, origin=""), row)
    return tuple(first.values())

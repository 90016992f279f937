"""A claim in which everything is right; tests change one thing."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from policy.engine import programmes
from policy.lang import Case
from policy.verification.dossier import (
    Acceptance,
    ClaimLine,
    Dossier,
    InvoiceLine,
    LedgerEntry,
    Listing,
    Payment,
    Project,
)

FACTORY, SELLER, OTHER = "91330523719500014U", "91330521MA2B3K7P07", "91331125MA2E1H881U"
DAY = date(2024, 8, 1)
INVOICE = "24332000000000000001"


def origin(table: str, row: int) -> str:
    return f"{table}@nplusx.{table}/0/7/{row}"


PROJECT = Project(
    project_id="AJ-1",
    enterprise_uscc=FACTORY,
    programme="anji_2023",
    title="生产线数字化改造",
    batch="first_sample",
    filed_on=date(2023, 10, 15),
    contract_signed_on=date(2024, 2, 1),
    finished_on=date(2024, 6, 30),
    granted_before_cny=Decimal("0.00"),
    other_awards_cny=Decimal("0.00"),
    origin=origin("project", 0),
)
LINE = ClaimLine(
    claim_id="CL-1",
    line_no=1,
    project_id="AJ-1",
    invoice_no=INVOICE,
    invoice_line_no=1,
    issued_on=date(2024, 3, 5),
    seller_uscc=SELLER,
    buyer_uscc=FACTORY,
    item_text="*软件*生产执行系统",
    category="software",
    net_cny=Decimal("100000.00"),
    tax_cny=Decimal("13000.00"),
    origin=origin("line", 1),
)
OWN = InvoiceLine(
    invoice_no=INVOICE,
    line_no=1,
    issued_on=date(2024, 3, 5),
    seller_uscc=SELLER,
    buyer_uscc=FACTORY,
    item_text="*软件*生产执行系统",
    net_amount=Decimal("100000.00"),
    tax_amount=Decimal("13000.00"),
    currency="CNY",
    is_red=False,
    red_of_invoice_no=None,
    origin=origin("invoice", 1),
)
PAID = Payment(
    payment_id="P-1",
    invoice_no=INVOICE,
    payee_uscc=SELLER,
    paid_on=date(2024, 4, 1),
    paid_amount=Decimal("113000.00"),
    currency="CNY",
    origin=origin("payment", 1),
)
BOOKED = LedgerEntry(
    entry_id="E-1",
    voucher_no="V-1",
    invoice_no=INVOICE,
    booked_on=date(2024, 3, 31),
    account_code="170101",
    debit_amount=Decimal("100000.00"),
    credit_amount=Decimal("0.00"),
    currency="CNY",
    origin=origin("ledger", 1),
)
RED = replace(
    OWN,
    invoice_no="24332000000000000099",
    net_amount=Decimal("-100000.00"),
    tax_amount=Decimal("-13000.00"),
    is_red=True,
    red_of_invoice_no=INVOICE,
    origin=origin("invoice", 99),
)
ACCEPTED = Acceptance("AJ-1", date(2024, 7, 20), "accepted", "县经信局专家组", origin("accept", 0))
LISTED = Listing(
    enterprise_uscc=FACTORY,
    list_year=2024,
    region_code="330523",
    industry_code="C2130",
    is_above_scale=True,
    origin=origin("listing", 0),
)
CLAIM = Dossier(
    claim_id="CL-1",
    project=PROJECT,
    lines=(LINE,),
    invoices=(OWN,),
    payments=(PAID,),
    ledger=(BOOKED,),
    acceptance=ACCEPTED,
    listings=(LISTED,),
    other_uses=(),
)


def with_line(claim: Dossier, number: int, net: str) -> Dossier:
    """Add a line with its own invoice, paid and booked."""
    amount = Decimal(net)
    invoice = f"{int(INVOICE) + number:020d}"
    line = replace(
        LINE,
        line_no=number,
        invoice_no=invoice,
        net_cny=amount,
        tax_cny=Decimal("0.00"),
        origin=origin("line", number),
    )
    own = replace(
        OWN,
        invoice_no=invoice,
        net_amount=amount,
        tax_amount=Decimal("0.00"),
        origin=origin("invoice", number),
    )
    paid = replace(
        PAID,
        payment_id=f"P-{number}",
        invoice_no=invoice,
        paid_amount=amount,
        origin=origin("payment", number),
    )
    booked = replace(
        BOOKED,
        entry_id=f"E-{number}",
        invoice_no=invoice,
        debit_amount=amount,
        origin=origin("ledger", number),
    )
    return replace(
        claim,
        lines=(*claim.lines, line),
        invoices=(*claim.invoices, own),
        payments=(*claim.payments, paid),
        ledger=(*claim.ledger, booked),
    )


def law(**assumed: str) -> Case:
    """Give the law of the day of acceptance, with other readings where a test wants them."""
    parameters = programmes()["anji_2023"].parameters_of("a09_nplusx_retrofit")
    return Case({}, parameters, ACCEPTED.accepted_on, assumed)

"""Rows that fit together."""

from datetime import UTC, date, datetime
from decimal import Decimal

from kernel.ids import EnterpriseId
from registry.claims import Acceptance, ClaimLine, Listing, Project
from registry.kinds import EnterpriseKind
from registry.people import Enterprise

USCC = EnterpriseId("91330523719500014U")
AT = datetime(2024, 6, 1, 8, tzinfo=UTC)
FACTORY = Enterprise(USCC, "安吉某家具有限公司", EnterpriseKind.FACTORY, "330523", "C2130")
PROJECT = Project(
    project_id="AJ-2024-001",
    enterprise_uscc=USCC,
    programme="anji_2023",
    title="生产线数字化改造",
    batch="expansion",
    filed_on=date(2024, 1, 15),
    contract_signed_on=date(2024, 2, 1),
    finished_on=None,
    granted_before_cny=Decimal("0.00"),
    other_awards_cny=Decimal("0.00"),
)
LINE = ClaimLine(
    claim_id="CL-2024-001",
    line_no=1,
    project_id="AJ-2024-001",
    invoice_no="24332000000000000001",
    invoice_line_no=1,
    issued_on=date(2024, 3, 5),
    seller_uscc="91330521MA2B3K7P07",
    buyer_uscc=USCC,
    item_text="*软件*生产执行系统",
    category="software",
    net_cny=Decimal("100000.00"),
    tax_cny=Decimal("13000.00"),
)
ACCEPTANCE = Acceptance("AJ-2024-001", date(2024, 7, 20), "accepted", "县经信局专家组")
LISTING = Listing(
    enterprise_uscc=USCC,
    list_year=2024,
    name="安吉某家具有限公司",
    region_code="330523",
    industry_code="C2130",
    is_above_scale=True,
)

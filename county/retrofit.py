"""The retrofit project: what the factory really bought for it, and what it claims of that."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from county.world import (
    FACTORY,
    Company,
    company_uscc,
    invoice_number,
)

PROJECT_ID = "AJ-2024-001"
CLAIM_ID = "CL-2024-001"
SOFTWARE_HOUSE = Company("V901", "演示软件服务商（虚构）", company_uscc(901))
HARDWARE_HOUSE = Company("V902", "演示自动化设备商（虚构）", company_uscc(902))
OFFICE_SHOP = Company("V903", "演示办公用品店（虚构）", company_uscc(903))
VENDORS = (SOFTWARE_HOUSE, HARDWARE_HOUSE, OFFICE_SHOP)
INTANGIBLE, FIXED = "1701", "1601"


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a purchase, and how the claim calls it."""

    text: str
    category: str
    net: Decimal
    tax: Decimal
    account: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """What was bought on one invoice, what was paid of it and when, and whether it was booked."""

    number: str
    day: date
    vendor: Company
    items: tuple[Item, ...]
    payments: tuple[tuple[date, Decimal], ...]
    is_booked: bool = True
    # The invoice that this one takes back.
    red_of: str = ""


def _software(text: str, net: str, tax: str) -> Item:
    return Item(text, "software", Decimal(net), Decimal(tax), INTANGIBLE)


def _hardware(text: str, net: str, tax: str) -> Item:
    return Item(text, "supporting_hardware", Decimal(net), Decimal(tax), FIXED)


def _number(serial: int, year: int = 2024) -> str:
    return invoice_number(year, 900_000 + serial)


MES = Purchase(
    _number(1),
    date(2024, 3, 5),
    SOFTWARE_HOUSE,
    (_software("*软件*生产执行系统 MES", "286725.66", "37274.34"),),
    ((date(2024, 3, 20), Decimal("162000.00")), (date(2024, 6, 28), Decimal("162000.00"))),
)
ERP_SRM = Purchase(
    _number(2),
    date(2024, 3, 12),
    SOFTWARE_HOUSE,
    (_software("*软件*轻量化 ERP 与供应商协同 SRM", "141592.92", "18407.08"),),
    ((date(2024, 4, 10), Decimal("160000.00")),),
)
GATEWAYS = Purchase(
    _number(3),
    date(2024, 4, 2),
    HARDWARE_HOUSE,
    (_hardware("*计算机网络设备*数据采集网关", "78761.06", "10238.94"),),
    # Six tenths of 89,000 yuan; the rest is still owed.
    ((date(2024, 4, 25), Decimal("53400.00")),),
)
EDGE = Purchase(
    _number(4),
    date(2024, 4, 9),
    HARDWARE_HOUSE,
    (
        _hardware("*电子计算机*边缘计算服务器", "44247.79", "5752.21"),
        _hardware("*计算机网络设备*工业交换机", "15929.20", "2070.80"),
    ),
    ((date(2024, 5, 8), Decimal("68000.00")),),
)
OFFICE_PC = Purchase(
    _number(5),
    date(2024, 4, 18),
    OFFICE_SHOP,
    (Item("*电子计算机*办公电脑", "other", Decimal("12389.38"), Decimal("1610.62"), FIXED),),
    ((date(2024, 4, 18), Decimal("14000.00")),),
)
SCANNERS = Purchase(
    _number(6),
    date(2024, 5, 6),
    HARDWARE_HOUSE,
    (_hardware("*计算机外部设备*工位扫码终端", "23893.81", "3106.19"),),
    ((date(2024, 5, 30), Decimal("27000.00")),),
    is_booked=False,
)
PANELS = Purchase(
    _number(7),
    date(2024, 5, 14),
    HARDWARE_HOUSE,
    (_hardware("*电子工业设备*车间看板终端", "56371.68", "7328.32"),),
    ((date(2024, 6, 12), Decimal("63700.00")),),
)
SENSORS = Purchase(
    _number(8),
    date(2024, 5, 21),
    HARDWARE_HOUSE,
    (_hardware("*仪器仪表*注塑机传感器改造", "35398.23", "4601.77"),),
    (),
)
EARLY = Purchase(
    _number(9, 2022),
    date(2022, 11, 18),
    SOFTWARE_HOUSE,
    (_software("*软件*仓储管理系统", "61946.90", "8053.10"),),
    ((date(2022, 12, 15), Decimal("70000.00")),),
)
PURCHASES = (MES, ERP_SRM, GATEWAYS, EDGE, OFFICE_PC, SCANNERS, PANELS, SENSORS, EARLY)


@dataclass(frozen=True, slots=True)
class Project:
    """A retrofit as the county filed it; fields as in `retrofit.project.v1`."""

    project_id: str
    enterprise_uscc: str
    programme: str
    title: str
    batch: str
    filed_on: date
    contract_signed_on: date
    finished_on: date
    granted_before_cny: Decimal
    other_awards_cny: Decimal


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """A line of the claim; fields as in `retrofit.invoice_line.v1`."""

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


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The outcome of acceptance; fields as in `retrofit.acceptance.v1`."""

    project_id: str
    accepted_on: date
    outcome: str
    reviewer: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """What the registry holds of the project."""

    project: Project
    lines: tuple[ClaimLine, ...]
    acceptance: Acceptance


# Line by line: the purchase and its item, and the net and tax claimed where they are not its own.
_CLAIMED: tuple[tuple[Purchase, int, tuple[str, str] | None], ...] = (
    (MES, 1, None),
    (ERP_SRM, 1, None),
    (GATEWAYS, 1, None),
    (EDGE, 1, None),
    (EDGE, 2, None),
    (OFFICE_PC, 1, None),
    (SCANNERS, 1, None),
    (PANELS, 1, ("66371.68", "8628.32")),
    (SENSORS, 1, None),
    (EARLY, 1, None),
    (MES, 1, None),
)


def dossier() -> Dossier:
    """Give the rows that the demo enters into the registry."""
    project = Project(
        project_id=PROJECT_ID,
        enterprise_uscc=FACTORY,
        programme="anji_2023",
        title="办公椅生产线“N+X”数字化改造（演示）",
        batch="expansion",
        filed_on=date(2024, 1, 15),
        contract_signed_on=date(2024, 2, 1),
        finished_on=date(2024, 6, 30),
        granted_before_cny=Decimal("0.00"),
        other_awards_cny=Decimal("0.00"),
    )
    acceptance = Acceptance(PROJECT_ID, date(2024, 7, 20), "accepted", "县经信局专家组（演示）")
    return Dossier(project, tuple(_lines()), acceptance)


def _lines() -> list[ClaimLine]:
    lines = []
    for line_no, (purchase, invoice_line, said) in enumerate(_CLAIMED, 1):
        item = purchase.items[invoice_line - 1]
        net, tax = (Decimal(each) for each in said) if said else (item.net, item.tax)
        lines.append(
            ClaimLine(
                claim_id=CLAIM_ID,
                line_no=line_no,
                project_id=PROJECT_ID,
                invoice_no=purchase.number,
                invoice_line_no=invoice_line,
                issued_on=purchase.day,
                seller_uscc=purchase.vendor.uscc,
                buyer_uscc=FACTORY,
                item_text=item.text,
                category=item.category,
                net_cny=net,
                tax_cny=tax,
            )
        )
    return lines

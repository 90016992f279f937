"""What was planted, and what must come out; the claim's answers are worked out by hand."""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from county import sources
from county.books import Books, make_books
from county.claims import ClaimTruth, Filed, LineTruth
from county.faults import Planted, plant
from county.retrofit import CLAIM_ID, PURCHASES, dossier
from county.world import FACTORY, Factory, factories, period

SEED = 20240115
DEMO_FAULTS = {"negative_quantity": 1, "missing_day": 1, "bad_uscc": 1, "short_number": 1}


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


STORY = Filed(PURCHASES, (dossier(),), (CLAIM,))


def demo_books() -> tuple[Books, tuple[Planted, ...]]:
    """Give the year of the demo's factory, and what is wrong in it."""
    factory = demo_factory()
    books = make_books(factory, period(12), SEED, PURCHASES)
    return books, plant(books, factory, DEMO_FAULTS, SEED, sources.held(factory))


def demo_factory() -> Factory:
    """Give the factory of the demo."""
    return factories(1, ("yonyou_u8",))[0]


def produced(books: Books, contracts: Iterable[str]) -> dict[str, int]:
    """Count the rows that must be read, per contract."""
    return {each: len(books[each]) for each in contracts}


def landed(books: Books, planted: Iterable[Planted], contracts: Iterable[str]) -> dict[str, int]:
    """Count the rows that must land, per contract."""
    bad = Counter(each.contract for each in planted if each.reason)
    return {each: len(books[each]) - bad[each] for each in contracts}


def on_time(books: Books) -> dict[str, tuple[int, int]]:
    """Count, per month of promise, the lines delivered in full by then, and all lines."""
    lines = {each["order_line_id"]: each for each in books["erp.sales_order_line.v1"]}
    drafts = {each["order_id"] for each in books["erp.sales_order.v1"] if each["status"] == "draft"}
    in_time: Counter[object] = Counter()
    for each in books["erp.delivery.v1"]:
        if _day(each["delivered_on"]) <= _day(lines[each["order_line_id"]]["promised_on"]):
            in_time[each["order_line_id"]] += int(str(each["delivered_qty"]))
    kept: Counter[str] = Counter()
    due: Counter[str] = Counter()
    for number, line in lines.items():
        if line["order_id"] not in drafts:
            month = f"{_day(line['promised_on']):%Y-%m}"
            due[month] += 1
            kept[month] += in_time[number] >= int(str(line["ordered_qty"]))
    return {month: (kept[month], due[month]) for month in sorted(due)}


def _day(value: object) -> date:
    if not isinstance(value, date):
        raise TypeError(value)
    return value

"""What five places know of their factories: lists, tax, energy, staff, statistics, land."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from county.books import Books
from county.dice import Dice
from county.world import (
    FACTORY,
    NIL,
    YEAR,
    Factory,
    Period,
    Place,
    Row,
    at,
    checked,
    month_after,
)
from kernel.money import round_fen

# The tenth of the next month, as offices do.
_REPORTED_DAY, _REPORTED_MINUTE = 10, 9 * 60
_BASE_KWH, _SHARE = Decimal(1800), Decimal("1.35")


def authority(place: Place) -> str:
    """Give the code of a place's bureau: registered by the staffing office, as an organ."""
    return checked(f"11{place.region}MB1900001")


def make_feeds(
    held: Mapping[Factory, Books], within: Period, seed: int
) -> dict[str, dict[str, list[Row]]]:
    """Give what each place's bureau holds of the factories there, by region and contract."""
    found: dict[str, dict[str, list[Row]]] = {}
    for factory, books in held.items():
        feeds = found.setdefault(factory.place.region, defaultdict(list))
        dice = Dice(seed, f"{factory.number}/government")
        for contract, rows in _of_factory(factory, books, within, dice).items():
            feeds[contract] += rows
    return {region: dict(feeds) for region, feeds in found.items()}


def _of_factory(factory: Factory, books: Books, within: Period, dice: Dice) -> dict[str, list[Row]]:
    staff = 12 + factory.orders_a_month * 3
    months = within.months
    sold = _by_month(books["erp.sales_invoice.v1"], "issued_on", "net_amount")
    output_tax = _by_month(books["erp.sales_invoice.v1"], "issued_on", "tax_amount")
    input_tax = _by_month(books["erp.purchase_invoice.v1"], "issued_on", "tax_amount")
    bought = _by_month(books["erp.purchase_invoice.v1"], "issued_on", "net_amount")
    power = _by_month(books["mes.energy_reading.v1"], "read_at", "used_qty")
    return {
        "gov.enterprise.v1": [_listing(factory, year, dice) for year in (YEAR - 1, YEAR)],
        "gov.tax.v1": [
            {
                **_head(factory, month),
                "assessed_cny": (due := max(output_tax[month] - input_tax[month], NIL)),
                "paid_cny": due, "vat_sales_cny": sold[month],
                "domestic_sales_cny": sold[month], "export_sales_cny": NIL,
            }
            for month in months
        ],
        "gov.energy.v1": [_energy(factory, month, power[month]) for month in months],
        "gov.employment.v1": [
            {
                **_head(factory, month),
                "average_staff": Decimal(staff + dice.number(-2, 2)), "insured_staff": staff - 3,
                "rd_staff": staff // 10,
            }
            for month in months
        ],
        "gov.statistics.v1": [
            {
                **_head(factory, month),
                "output_cny": round_fen(sold[month] * Decimal("1.02")),
                "revenue_cny": sold[month], "main_revenue_cny": sold[month],
                "cost_cny": bought[month],
                "profit_cny": round_fen(sold[month] * Decimal("0.06")),
                "value_added_cny": round_fen(sold[month] * Decimal("0.22")),
                "domestic_sales_cny": sold[month], "export_delivery_cny": NIL,
                "rd_expense_cny": round_fen(sold[month] * Decimal("0.03")),
            }
            for month in months
        ],
    }  # fmt: skip


def _by_month(rows: Iterable[Row], day: str, amount: str) -> defaultdict[date, Decimal]:
    sums: defaultdict[date, Decimal] = defaultdict(lambda: NIL)
    for row in rows:
        # Moments are instants of Zhejiang's daytime: their day is the same everywhere.
        when = row[day]
        if isinstance(when, date):
            sums[date(when.year, when.month, 1)] += Decimal(str(row[amount]))
    return sums


def _head(factory: Factory, month: date) -> Row:
    reported = month_after(month, 1).replace(day=_REPORTED_DAY)
    return {
        "enterprise_uscc": factory.uscc, "period": f"{month:%Y-%m}",
        "updated_at": at(reported, _REPORTED_MINUTE + factory.number),
    }  # fmt: skip


def _energy(factory: Factory, month: date, measured: Decimal) -> Row:
    """Tell what the meter of the plant shows: the machines, and what else takes power."""
    kwh = (measured * _SHARE + _BASE_KWH).quantize(Decimal("0.001"))
    return {
        **_head(factory, month), "electricity_kwh": kwh,
    }  # fmt: skip


def _listing(factory: Factory, year: int, dice: Dice) -> Row:
    mu = Decimal(dice.number(15, 120))
    return {
        "enterprise_uscc": factory.uscc, "list_year": year, "name": factory.name,
        "region_code": factory.place.region, "industry_code": factory.place.industry,
        "is_above_scale": factory.uscc == FACTORY or factory.number % 2 == 0,
        "area_mu": mu, "floor_area_m2": mu * 900,
        "updated_at": at(date(year, 3, 1), _REPORTED_MINUTE + factory.number),
    }  # fmt: skip

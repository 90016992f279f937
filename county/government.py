"""What five places know of their factories: lists, tax, energy, staff, land, awards."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from county.books import Books
from county.dice import Dice
from county.world import (
    NIL,
    YEAR,
    Factory,
    Period,
    Row,
    at,
    is_above_scale,
    month_after,
)
from kernel.money import round_fen

# What factories got of other clauses: one shop on a foreign platform in Anji, a first set of its
# kind in the city for Xiuzhou. The other places' papers name no sum that can be paid.
_AWARDS = {
    "330523": ("S0-C16", "county", Decimal("10000.00")),
    "330411": ("S3-C04", "municipal", Decimal("200000.00")),
}
_AWARDED = date(YEAR, 12, 2)
# The tenth of the next month, as offices do.
_REPORTED_DAY, _REPORTED_MINUTE = 10, 9 * 60
_BASE_KWH, _SHARE = Decimal(1800), Decimal("1.35")


def make_feeds(factory: Factory, books: Books, within: Period, seed: int) -> dict[str, list[Row]]:
    """Give what its place's offices know of a factory, by contract."""
    dice = Dice(seed, f"{factory.number}/government")
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
        **_awards(factory),
    }  # fmt: skip


def _awards(factory: Factory) -> dict[str, list[Row]]:
    if factory.place.region not in _AWARDS or not is_above_scale(factory):
        # A place that granted nothing says so: its list is empty.
        return {"gov.award.v1": []}
    clause, level, amount = _AWARDS[factory.place.region]
    row: Row = {
        "award_id": f"JB-{YEAR}-{factory.number:03d}", "enterprise_uscc": factory.uscc,
        "clause_id": clause, "level": level, "awarded_cny": amount, "paid_cny": amount,
        "awarded_on": _AWARDED, "paid_on": _AWARDED,
        "updated_at": at(_AWARDED, _REPORTED_MINUTE + factory.number),
    }  # fmt: skip
    return {"gov.award.v1": [row]}


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
        "is_above_scale": is_above_scale(factory),
        "area_mu": mu, "floor_area_m2": mu * 900,
        "updated_at": at(date(year, 3, 1), _REPORTED_MINUTE + factory.number),
    }  # fmt: skip

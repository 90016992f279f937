"""Who and where: the factories of the simulated county, made up throughout, and their time."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from kernel.clock import SHANGHAI
from kernel.ids import uscc_check_character

FACTORY = "91330523719500014U"
FACTORY_NAME = "安吉演示家具有限公司（虚构）"
REGION = "330523"
INDUSTRY = "C2130"
YEAR = 2024
VAT = Decimal("0.13")
NIL = Decimal("0.00")
# A row in the columns of its contract.
Row = dict[str, object]
_SHIFT_MINUTES = 480
_APPROVAL = timedelta(minutes=25)


@dataclass(frozen=True, slots=True)
class Place:
    """A place with a policy of its own, and the industry that it is known for."""

    region: str
    name: str
    industry: str


PLACES = (
    Place(REGION, "安吉", INDUSTRY),
    Place("330503", "南浔", "C2110"),
    Place("330411", "秀洲", "C2130"),
    Place("331125", "云和", "C2110"),
    Place("330481", "海宁", "C2190"),
)


@dataclass(frozen=True, slots=True)
class Factory:
    """A furniture factory: who it is, how big, in which product it keeps its books.

    The wire is how its machines talk, if they do.
    """

    number: int
    uscc: str
    name: str
    place: Place
    system: str
    orders_a_month: int
    products: int
    machines: int
    wire: str = ""


@dataclass(frozen=True, slots=True)
class Period:
    """Whole months, the last of which ends the year."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Count the days."""
        return (self.last - self.first).days + 1

    @property
    def months(self) -> list[date]:
        """List the first days of its months."""
        count = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1
        return [month_after(self.first, each) for each in range(count)]


def period(months: int) -> Period:
    """Give the months that end with the year."""
    last = date(YEAR, 12, 31)
    return Period(month_after(last.replace(day=1), 1 - months), last)


def month_after(day: date, months: int) -> date:
    """Give the first day of the month so many months later."""
    number = day.year * 12 + day.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def month_end(day: date) -> date:
    """Give the last day of a day's month."""
    return month_after(day, 1) - timedelta(days=1)


def factories(
    count: int, systems: tuple[str, ...], wires: tuple[str, ...] = ("",)
) -> tuple[Factory, ...]:
    """Give the county's factories: the first is the one of the demo, large and in Anji."""
    first = Factory(1, FACTORY, FACTORY_NAME, PLACES[0], systems[0], 63, 20, 6, wires[0])
    others = (
        _factory(n + 1, systems[n % len(systems)], wires[n % len(wires)]) for n in range(1, count)
    )
    return (first, *others)


def _factory(number: int, system: str, wire: str) -> Factory:
    place = PLACES[(number - 1) % len(PLACES)]
    name = f"{place.name}演示第{number:02d}家具厂（虚构）"
    uscc = checked(f"91{place.region}MA7{number:06d}")
    orders, machines = 8 + number % 5 * 2, 2 + number % 3
    return Factory(number, uscc, name, place, system, orders, 8, machines, wire)


def is_above_scale(factory: Factory) -> bool:
    """Tell whether a factory is on its place's list of those above scale."""
    return factory.number == 1 or factory.number % 2 == 0


def checked(first: str) -> str:
    """Complete a unified social credit code by its check character."""
    return first + uscc_check_character(first)


def authority_uscc() -> str:
    """Give the code of the county's bureau: registered by the staffing office, as an organ."""
    return checked("11330523MB1900001")


def company_uscc(number: int) -> str:
    """Give the code of a made-up company of the county."""
    return checked(f"91330523MA9{number:06d}")


def invoice_number(year: int, number: int) -> str:
    """Give the twenty digits of a fully digitalised e-invoice of Zhejiang."""
    return f"{year % 100:02d}332{number:015d}"


@dataclass(frozen=True, slots=True)
class Company:
    """A customer or a vendor."""

    code: str
    name: str
    uscc: str


def at(day: date, minutes: int) -> datetime:
    """Give a moment of a day in Zhejiang, as an instant."""
    local = datetime.combine(day, time(), SHANGHAI) + timedelta(minutes=minutes)
    return local.astimezone(UTC)


def entered(day: date, number: int) -> datetime:
    """Tell when a clerk entered a document."""
    return at(day, 9 * 60 + number % _SHIFT_MINUTES)


def approved(day: date, number: int) -> datetime:
    """Tell when a document was approved."""
    return entered(day, number) + _APPROVAL

"""What is wrong on purpose: planted by name, and told apart from the books in the truth."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from contracts.loader import find
from county.books import Books
from county.dice import Dice
from county.world import YEAR, Factory, Row

# The plate that machines of several factories bear, and the week in which somebody looks.
SHARED_PLATE = "SN-2019-000777"
VISIT = date(YEAR, 11, 18)
# A code of eighteen characters the last of which does not fit.
BAD_USCC = "91330523MA9666666A"
QUARANTINED, LANDS = "quarantined", "lands"
LATE = "late_row"
# A reader looks back for rows that come late; so much is within what each of ours does.
LATE_BY = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Planted:
    """A row with a fault, by its key, and what becomes of it; the gate refuses it for a reason."""

    fault: str
    contract: str
    key: str
    reason: str = ""
    answer: str = QUARANTINED


@dataclass(slots=True)
class Ground:
    """Books in which faults are planted: no row of them twice."""

    books: Books
    dice: Dice
    planted: list[Planted] = field(default_factory=list)
    _taken: set[tuple[str, str]] = field(default_factory=set)

    def choose(self, contract: str, fits: Callable[[Row], bool] = lambda _: True) -> Row:
        """Draw a row that is as it should be, and hold it for what is planted."""
        free = [e for e in self.books[contract] if self.is_free(contract, e) and fits(e)]
        return self.take(contract, self.dice.one_of(free))

    def take(self, contract: str, row: Row) -> Row:
        """Hold a row: no other fault gets it."""
        self._taken.add((contract, key_of(contract, row)))
        return row

    def is_free(self, contract: str, row: Row) -> bool:
        """Tell whether nothing is planted in a row."""
        return (contract, key_of(contract, row)) not in self._taken


Plant = Callable[[Ground, str], Iterable[Planted]]


@dataclass(frozen=True, slots=True)
class Fault:
    """How a fault is planted, and where: in the first of these that a source of the factory has."""

    plant: Plant
    contracts: tuple[str, ...]


def key_of(contract: str, row: Row) -> str:
    """Name a row by the key of its contract."""
    return "/".join(str(row[name]) for name in find(contract).key)


def plant(
    books: Books, factory: Factory, faults: Mapping[str, int], seed: int, held: Collection[str]
) -> tuple[Planted, ...]:
    """Put faults into books, each so many times, where a source holds it; give what was planted."""
    ground = Ground(books, Dice(seed, ""))
    # In an order of its own: what one takes away another must not have been planted in.
    for name, fault in FAULTS.items():
        contract = next((each for each in fault.contracts if each in held), None)
        if contract is None:
            continue
        ground.dice = Dice(seed, f"{factory.number}/faults/{name}")
        for _ in range(faults.get(name, 0)):
            ground.planted += fault.plant(ground, contract)
    return tuple(ground.planted)


def _draft_line(ground: Ground, contract: str) -> Row:
    """Choose a line of a draft: nothing else refers to it."""
    orders = ground.books["erp.sales_order.v1"]
    drafts = {each["order_id"] for each in orders if each["status"] == "draft"}
    return ground.choose(contract, lambda each: each["order_id"] in drafts)


def _negative_quantity(ground: Ground, contract: str) -> Iterable[Planted]:
    line = _draft_line(ground, contract)
    line["ordered_qty"] = -Decimal(str(line["ordered_qty"]))
    yield Planted("negative_quantity", contract, key_of(contract, line), "ordered_qty.minimum")


def _missing_day(ground: Ground, contract: str) -> Iterable[Planted]:
    line = _draft_line(ground, contract)
    line["promised_on"] = None
    yield Planted("missing_day", contract, key_of(contract, line), "promised_on.required")


def _material_invoice(ground: Ground, contract: str) -> str:
    """Choose an invoice of materials of which nothing is wrong yet, by its number."""
    held = {
        row["invoice_no"]
        for e in _INVOICED
        for row in ground.books[e]
        if not ground.is_free(e, row)
    }

    def fits(row: Row) -> bool:
        return "家具配件" in str(row["item_text"]) and row["invoice_no"] not in held

    return str(ground.choose(contract, fits)["invoice_no"])


_SOLD = "erp.sales_invoice.v1"
_INVOICED = ("erp.purchase_invoice.v1", "erp.payment.v1", "erp.ledger_entry.v1")


def _of_invoice(ground: Ground, number: str, contracts: Sequence[str]) -> list[tuple[str, Row]]:
    rows = ((each, row) for each in contracts for row in ground.books[each])
    return [(each, row) for each, row in rows if row["invoice_no"] == number]


def _bad_uscc(ground: Ground, contract: str) -> Iterable[Planted]:
    number = _material_invoice(ground, contract)
    for each, row in _of_invoice(ground, number, _INVOICED[:2]):
        column = "seller_uscc" if each == contract else "payee_uscc"
        row[column] = BAD_USCC
        if each == contract:
            row["seller_name"] = "税号录错的供应商（虚构）"
        yield Planted("bad_uscc", each, key_of(each, ground.take(each, row)), f"{column}.format")


def _short_number(ground: Ground, contract: str) -> Iterable[Planted]:
    if contract == _SOLD:
        row = ground.choose(contract)
        _shorten(row, str(row["invoice_no"]))
        yield Planted("short_number", contract, key_of(contract, row), "invoice_no.format")
        return
    number = _material_invoice(ground, contract)
    for each, row in _of_invoice(ground, number, _INVOICED):
        _shorten(row, number)
        key = key_of(each, ground.take(each, row))
        yield Planted("short_number", each, key, "invoice_no.pattern")


def _shorten(row: Row, number: str) -> None:
    for column in ("invoice_no", "invoice_id"):
        # Whoever has the invoice itself knows it by its number only.
        if row.get(column) == number:
            # One of the zeros in its middle: no two become alike.
            row[column] = number[:6] + number[7:]


def _duplicate_payment(ground: Ground, contract: str) -> Iterable[Planted]:
    """Enter a payment a second time, under another id."""
    rows = ground.books[contract]
    again = dict(ground.choose(contract))
    again["payment_id"] = str(max(int(str(each["payment_id"])) for each in rows) + 1)
    rows.append(ground.take(contract, again))
    yield Planted("duplicate_payment", contract, key_of(contract, again), answer=LANDS)


def _missing_number(ground: Ground, contract: str) -> Iterable[Planted]:
    """Take a document out: the row of numbers has a hole, and nobody says where it went."""
    rows = ground.books[contract]
    gone = ground.choose(contract)
    rows.remove(gone)
    yield Planted("missing_number", contract, key_of(contract, gone), answer="never comes")


def _late_row(ground: Ground, contract: str) -> Iterable[Planted]:
    """Let a row appear when others that were entered after it have been read."""
    moments = [each["updated_at"] for each in ground.books[contract]]
    row = ground.choose(contract)
    row["updated_at"] = max(each for each in moments if isinstance(each, datetime)) - LATE_BY
    yield Planted(LATE, contract, key_of(contract, row), answer="lands late")


_UNITS = {
    # Grams called kilograms, seconds called minutes, dozens called pieces.
    "srm.delivery.v1": (("delivered_qty", "accepted_qty", "rejected_qty"), Decimal(1000)),
    "mes.operation_report.v1": (("run_minutes",), Decimal(60)),
    "erp.sales_order_line.v1": (("ordered_qty",), Decimal(12)),
}


def _wrong_unit(ground: Ground, contract: str) -> Iterable[Planted]:
    columns, factor = _UNITS[contract]
    row = ground.choose(contract)
    for column in columns:
        row[column] = Decimal(str(row[column])) * factor
    yield Planted("wrong_unit", contract, key_of(contract, row), answer=LANDS)


def _second_hand(ground: Ground, contract: str) -> Iterable[Planted]:
    """Put the plate of a machine that others claim too on one that is said to be new."""
    machine = ground.choose(contract)
    machine["serial_no"] = SHARED_PLATE
    yield Planted("second_hand", contract, key_of(contract, machine), answer=LANDS)


def _staged(ground: Ground, contract: str) -> Iterable[Planted]:
    """Let machines speak in the week of the visit only."""
    for each, moment in ((contract, "started_at"), ("mes.energy_reading.v1", "read_at")):
        rows = ground.books[each]
        rows[:] = [row for row in rows if _visited(row[moment])]
    yield Planted("staged", contract, f"{VISIT:%Y-%m-%d}", answer=LANDS)


def _visited(moment: object) -> bool:
    return isinstance(moment, datetime) and VISIT <= moment.date() < VISIT + timedelta(days=7)


FAULTS: Mapping[str, Fault] = {
    "staged": Fault(_staged, ("mes.equipment_state.v1",)),
    "duplicate_payment": Fault(_duplicate_payment, ("erp.payment.v1",)),
    LATE: Fault(_late_row, ("erp.delivery.v1", "mes.operation_report.v1")),
    "missing_number": Fault(_missing_number, ("erp.delivery.v1", "mes.operation_report.v1")),
    "wrong_unit": Fault(_wrong_unit, tuple(_UNITS)),
    "second_hand": Fault(_second_hand, ("mes.equipment.v1",)),
    "negative_quantity": Fault(_negative_quantity, ("erp.sales_order_line.v1",)),
    "missing_day": Fault(_missing_day, ("erp.sales_order_line.v1",)),
    "bad_uscc": Fault(_bad_uscc, ("erp.purchase_invoice.v1",)),
    "short_number": Fault(_short_number, (_SOLD, "erp.purchase_invoice.v1")),
}

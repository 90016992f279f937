"""What is wrong on purpose: planted by name, and told apart from the books in the truth."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from county.books import Books
from county.dice import Dice
from county.world import YEAR, Factory, Row
from kernel.errors import ConfigurationError

# The plate that machines of several factories bear, and the week in which somebody looks.
SHARED_PLATE = "SN-2019-000777"
VISIT = date(YEAR, 11, 18)
# A code of eighteen characters the last of which does not fit.
BAD_USCC = "91330523MA9666666A"


@dataclass(frozen=True, slots=True)
class Planted:
    """A row with a fault, by its key, and why the gate must refuse it; no reason: it lands."""

    fault: str
    contract: str
    key: str
    reason: str = ""


Plant = Callable[[Books, Dice], Iterable[Planted]]


def plant(
    books: Books, factory: Factory, faults: Mapping[str, int], seed: int
) -> tuple[Planted, ...]:
    """Put faults into books, each so many times; give what was planted."""
    planted: list[Planted] = []
    # In an order of its own: what one takes away another must not have been planted in.
    for name in FAULTS:
        times = faults.get(name, 0)
        dice = Dice(seed, f"{factory.number}/faults/{name}")
        for _ in range(times):
            planted += FAULTS[name](books, dice)
    return tuple(planted)


def parse(text: str) -> dict[str, int]:
    """Read faults as a person writes them: `name` or `name=times`, with commas between."""
    found: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, times = part.partition("=")
        if name not in FAULTS or not (times or "1").isdecimal():
            raise ConfigurationError(
                f"{part!r} is no fault that can be planted.",
                where="--faults",
                cure=f"use name or name=times of: {', '.join(FAULTS)}.",
            )
        found[name] = int(times or 1)
    return found


def _draft_line(books: Books, dice: Dice) -> Row:
    """Choose a line of a draft that is as it should be: nothing else refers to it."""
    drafts = {each["order_id"] for each in books["erp.sales_order.v1"] if each["status"] == "draft"}
    return dice.one_of(
        [
            each
            for each in books["erp.sales_order_line.v1"]
            if each["order_id"] in drafts and each["promised_on"] and _positive(each)
        ]
    )


def _positive(line: Row) -> bool:
    quantity = line["ordered_qty"]
    return isinstance(quantity, Decimal) and quantity > 0


def _negative_quantity(books: Books, dice: Dice) -> Iterable[Planted]:
    line = _draft_line(books, dice)
    line["ordered_qty"] = -Decimal(str(line["ordered_qty"]))
    yield _line("negative_quantity", line, "ordered_qty.minimum")


def _missing_day(books: Books, dice: Dice) -> Iterable[Planted]:
    line = _draft_line(books, dice)
    line["promised_on"] = None
    yield _line("missing_day", line, "promised_on.required")


def _line(fault: str, line: Row, reason: str) -> Planted:
    return Planted(fault, "erp.sales_order_line.v1", str(line["order_line_id"]), reason)


def _material_invoice(books: Books, dice: Dice) -> str:
    """Choose an invoice of materials that is as it should be, by its number."""
    right = [
        each["invoice_no"]
        for each in books["erp.purchase_invoice.v1"]
        if "家具配件" in str(each["item_text"])
        and each["seller_uscc"] != BAD_USCC
        and len(str(each["invoice_no"])) == len("24332000000000000001")
    ]
    return str(dice.one_of(right))


def _bad_uscc(books: Books, dice: Dice) -> Iterable[Planted]:
    number = _material_invoice(books, dice)
    for contract, column, name in (
        ("erp.purchase_invoice.v1", "seller_uscc", "seller_name"),
        ("erp.payment.v1", "payee_uscc", ""),
    ):
        for row in books[contract]:
            if row["invoice_no"] == number:
                row[column] = BAD_USCC
                if name:
                    row[name] = "税号录错的供应商（虚构）"
                yield Planted("bad_uscc", contract, _key(contract, row), f"{column}.format")


def _short_number(books: Books, dice: Dice) -> Iterable[Planted]:
    number = _material_invoice(books, dice)
    for contract in ("erp.purchase_invoice.v1", "erp.payment.v1", "erp.ledger_entry.v1"):
        for row in books[contract]:
            if row["invoice_no"] == number:
                row["invoice_no"] = number[:-1]
                reason = "invoice_no.pattern"
                yield Planted("short_number", contract, _key(contract, row), reason)


_KEYS = {
    "erp.purchase_invoice.v1": ("invoice_id", "line_no"),
    "erp.payment.v1": ("payment_id",),
    "erp.ledger_entry.v1": ("entry_id",),
}


def _key(contract: str, row: Row) -> str:
    return "/".join(str(row[name]) for name in _KEYS[contract])


def _duplicate_payment(books: Books, dice: Dice) -> Iterable[Planted]:
    """Enter a payment a second time, under another id."""
    rows = books["erp.payment.v1"]
    again = dict(dice.one_of(rows))
    again["payment_id"] = str(max(int(str(each["payment_id"])) for each in rows) + 1)
    rows.append(again)
    yield Planted("duplicate_payment", "erp.payment.v1", str(again["payment_id"]))


def _missing_number(books: Books, dice: Dice) -> Iterable[Planted]:
    """Take a delivery out: the row of numbers has a hole, and the warehouse gave something away."""
    rows = books["erp.delivery.v1"]
    gone = dice.one_of(rows)
    rows.remove(gone)
    yield Planted("missing_number", "erp.delivery.v1", str(gone["delivery_line_id"]))


def _wrong_unit(books: Books, dice: Dice) -> Iterable[Planted]:
    """Tell watt-hours and call them kilowatt-hours."""
    row = dice.one_of(books["mes.energy_reading.v1"])
    row["used_qty"] = Decimal(str(row["used_qty"])) * 1000
    key = f"{row['meter_code']}/{row['read_at']}"
    yield Planted("wrong_unit", "mes.energy_reading.v1", key)


def _second_hand(books: Books, dice: Dice) -> Iterable[Planted]:
    """Put the plate of a machine that others claim too on one that is said to be new."""
    machine = dice.one_of(books["mes.equipment.v1"])
    machine["serial_no"] = SHARED_PLATE
    yield Planted("second_hand", "mes.equipment.v1", str(machine["equipment_code"]))


def _staged(books: Books, _dice: Dice) -> Iterable[Planted]:
    """Let machines speak in the week of the visit only."""
    for contract, moment in (
        ("mes.equipment_state.v1", "started_at"),
        ("mes.energy_reading.v1", "read_at"),
    ):
        books[contract][:] = [each for each in books[contract] if _visited(each[moment])]
    yield Planted("staged", "mes.equipment_state.v1", f"{VISIT:%Y-%m-%d}")


def _visited(moment: object) -> bool:
    return isinstance(moment, datetime) and VISIT <= moment.date() < VISIT + timedelta(days=7)


FAULTS: Mapping[str, Plant] = {
    "staged": _staged,
    "duplicate_payment": _duplicate_payment,
    "missing_number": _missing_number,
    "wrong_unit": _wrong_unit,
    "second_hand": _second_hand,
    "negative_quantity": _negative_quantity,
    "missing_day": _missing_day,
    "bad_uscc": _bad_uscc,
    "short_number": _short_number,
}

"""From an order line to the warehouse: a work order, its operations, and the final inspection."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from county.catalogue import OPERATIONS, PIECE, Catalogue
from county.dice import Dice
from county.sales import Line, Order
from county.world import Period, Row, at

# The work is done so many days before what was promised, so that the earliest shipment finds it.
_READY_DAYS = 11
_SHIFT_START = 8 * 60


@dataclass(frozen=True, slots=True)
class Report:
    """What an operation of a work order gave."""

    number: int
    name: str
    day: date
    start: int
    minutes: int
    good: Decimal
    scrap: Decimal
    machine: str | None
    worker: str


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """The making of one order line; its reports are those of the period."""

    id: int
    line: Line
    planned: Decimal
    released_on: date
    reports: tuple[Report, ...]
    is_finished: bool

    @property
    def good(self) -> Decimal:
        """Give what went to the warehouse."""
        return self.reports[-1].good if self.is_finished else Decimal(0)

    @property
    def scrap(self) -> Decimal:
        """Add up what was lost on the way."""
        return sum((each.scrap for each in self.reports), Decimal(0))


def make_work_orders(
    orders: tuple[Order, ...], catalogue: Catalogue, within: Period, dice: Dice
) -> tuple[WorkOrder, ...]:
    """Make every line that was approved, a little more than ordered, for some is lost."""
    return tuple(
        _work_order(line, catalogue, within, dice)
        for order in orders
        if not order.is_draft
        for line in order.lines
    )


def _work_order(line: Line, catalogue: Catalogue, within: Period, dice: Dice) -> WorkOrder:
    lost = [Decimal(dice.number(0, 2) if dice.happens(30) else 0) for _ in OPERATIONS]
    ready = line.promised_on - timedelta(days=_READY_DAYS + dice.number(0, 3))
    left = line.quantity + sum(lost, Decimal(0))
    planned, reports = left, []
    for at_place, ((number, name), scrap) in enumerate(zip(OPERATIONS, lost, strict=True)):
        left -= scrap
        day = ready - timedelta(days=len(OPERATIONS) - 1 - at_place)
        fitting = [each.code for each in catalogue.machines if each.operation == number]
        report = Report(
            number, name, day, _SHIFT_START + dice.number(0, 90), dice.number(60, 380),
            left, scrap, dice.one_of(fitting) if fitting else None, f"W{dice.number(1, 40):03d}",
        )  # fmt: skip
        if day <= within.last:
            reports.append(report)
    released_on = ready - timedelta(days=len(OPERATIONS))
    is_finished = len(reports) == len(OPERATIONS)
    return WorkOrder(50_000 + line.id, line, planned, released_on, tuple(reports), is_finished)


def rows_of(orders: tuple[WorkOrder, ...], within: Period) -> dict[str, list[Row]]:
    """Write them in the columns of contracts."""
    begun = [each for each in orders if each.released_on <= within.last]
    return {
        "mes.work_order.v1": [_order_row(each) for each in begun],
        "mes.operation_report.v1": [
            _report_row(each, report) for each in begun for report in each.reports
        ],
        "mes.quality_inspection.v1": [_inspection_row(each) for each in begun if each.is_finished],
    }


def _end(report: Report) -> int:
    return report.start + report.minutes


def _order_row(each: WorkOrder) -> Row:
    released = at(each.released_on, _SHIFT_START)
    row: Row = {
        "work_order_id": str(each.id),
        "work_order_no": f"WO{each.released_on:%Y%m}-{each.line.id:05d}",
        "product_code": each.line.product.code, "planned_qty": each.planned,
        "good_qty": each.good, "scrap_qty": each.scrap, "unit_of_measure": PIECE,
        "order_line_id": str(each.line.id), "is_system_planned": True,
        "due_on": each.line.promised_on, "released_at": released, "status": "released",
        "updated_at": released,
    }  # fmt: skip
    if each.reports:
        first, last = each.reports[0], each.reports[-1]
        row |= {
            "status": "started", "started_at": at(first.day, first.start),
            "updated_at": at(last.day, _end(last)),
        }  # fmt: skip
    if each.is_finished:
        row |= {"status": "finished", "finished_at": row["updated_at"]}
    return row


def _report_row(each: WorkOrder, report: Report) -> Row:
    finished = at(report.day, _end(report))
    return {
        "report_id": str(each.id * 100 + report.number), "work_order_id": str(each.id),
        "operation_no": report.number, "operation_name": report.name,
        "work_centre_code": f"WC-{report.number}", "equipment_code": report.machine,
        "worker_code": report.worker, "started_at": at(report.day, report.start),
        "finished_at": finished, "good_qty": report.good, "scrap_qty": report.scrap,
        "unit_of_measure": PIECE, "run_minutes": Decimal(report.minutes),
        "report_source": "machine" if report.machine else "scan", "updated_at": finished,
    }  # fmt: skip


def _inspection_row(each: WorkOrder) -> Row:
    last = each.reports[-1]
    inspected = at(last.day, _end(last) + 20)
    return {
        "inspection_id": str(each.id), "inspection_kind": "final", "inspected_at": inspected,
        "product_code": each.line.product.code, "work_order_id": str(each.id),
        "inspected_qty": each.good + last.scrap, "passed_qty": each.good,
        "failed_qty": last.scrap, "unit_of_measure": PIECE, "outcome": "accepted",
        "updated_at": inspected,
    }  # fmt: skip

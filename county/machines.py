"""What machines say of themselves: their states day by day, and what they took of energy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from county.catalogue import CONNECTED, Catalogue, Machine
from county.dice import Dice
from county.world import Period, Row, at
from kernel.clock import SHANGHAI

STATE, ENERGY = "state", "energy"
_SUNDAY = 6
_START, _END = 8 * 60, 17 * 60 + 30
_PAUSES = ("idle", "idle", "fault", "setup", "maintenance")
State = tuple[int, str]
# Contract, what of it, and its columns of the moment and of what is told.
TOLD = (
    ("mes.equipment_state.v1", STATE, "started_at", "state"),
    ("mes.energy_reading.v1", ENERGY, "read_at", "reading_qty"),
)


def working_days(within: Period) -> Iterator[date]:
    """List the days on which the connected machines work."""
    day = max(within.first, CONNECTED)
    while day <= within.last:
        if day.weekday() != _SUNDAY:
            yield day
        day += timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Said:
    """What a machine tells of itself at a moment: its state, or its meter's reading."""

    machine: str
    moment: datetime
    what: str
    value: str


def last_days(books: Mapping[str, list[Row]], count: int) -> list[Said]:
    """Give what machines told on the last days of the books, in order."""
    told = [
        Said(str(each["equipment_code"]), moment, what, str(each[column]))
        for contract, what, begun, column in TOLD
        for each in books[contract]
        if isinstance(moment := each[begun], datetime)
    ]
    days = sorted({each.moment.astimezone(SHANGHAI).date() for each in told})[-count:]
    kept = [each for each in told if each.moment.astimezone(SHANGHAI).date() in days]
    return sorted(kept, key=lambda each: (each.moment, each.machine))


def rows_of(catalogue: Catalogue, within: Period, dice: Dice) -> dict[str, list[Row]]:
    """Write states and readings in the columns of contracts."""
    states: list[Row] = []
    readings: list[Row] = []
    counters: dict[str, Decimal] = {}
    for day in working_days(within):
        for machine in catalogue.machines:
            segments = list(_segments(dice))
            states += _states(machine, day, segments)
            running = sum(
                end - start for (start, state), (end, _) in pairwise(segments) if state == "running"
            )
            used = (machine.power_kw * running / 60).quantize(Decimal("0.0001"))
            counters[machine.code] = counters.get(machine.code, Decimal(0)) + used
            readings.append(_reading(machine, day, used, counters[machine.code]))
    return {"mes.equipment_state.v1": states, "mes.energy_reading.v1": readings}


def _segments(dice: Dice) -> Iterator[State]:
    """Work through a day; the last state lasts until the next morning."""
    yield _START, "setup"
    now = _START + dice.number(10, 30)
    while now < _END:
        yield now, "running"
        now += dice.number(60, 180)
        if now < _END:
            yield now, dice.one_of(_PAUSES)
            now += dice.number(5, 25)
    yield _END, "off"


def _states(machine: Machine, day: date, segments: list[State]) -> Iterator[Row]:
    ends: list[int | None] = [start for start, _ in segments[1:]]
    for (start, state), end in zip(segments, [*ends, None], strict=True):
        row: Row = {
            "equipment_code": machine.code, "started_at": at(day, start), "state": state,
            "record_source": "machine", "updated_at": at(day, start),
        }  # fmt: skip
        if state == "running" and end is not None:
            made = (end - start) * 60 // machine.cycle_seconds
            row |= {
                "produced_qty": Decimal(made),
                "ideal_cycle_seconds": Decimal(machine.cycle_seconds),
            }
        yield row


def _reading(machine: Machine, day: date, used: Decimal, counter: Decimal) -> Row:
    read = at(day, _END + 5)
    return {
        "meter_code": f"DB-{machine.code[3:]}", "read_at": read, "carrier": "electricity",
        "energy_unit": "kwh", "reading_qty": counter, "used_qty": used,
        "equipment_code": machine.code, "record_source": "machine", "updated_at": read,
    }  # fmt: skip

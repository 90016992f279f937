"""Quarantine's life: what waits is judged anew and lands in its own place, or is waived."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from bus.ports import Place, Run, runs_of
from contracts.loader import find
from contracts.model import Contract
from contracts.schema import landing_schema
from kernel import clock
from kernel.errors import ConfigurationError
from kernel.log import logger
from pipeline import opening, wiring
from pipeline.admission import Known
from pipeline.crashpoints import crash_here
from pipeline.harvest import Harvest
from pipeline.intake import Intake
from pipeline.sequences import Arrival, Earlier, Sequences, earlier_in, sequence_mark
from pipeline.settings import Settings, read_settings
from pipeline.standing import GENERATION
from pipeline.step import Step, judged, refusals_of_others
from warehouse import attempts, quarantine, words
from warehouse.landing import RECORD_SCHEMA, REFUSED, joined
from warehouse.quarantine import WHOLE_RECORD, row_id
from warehouse.store import ConflictError, TableHandle, TableStore

_MARK = "replay"
# Bodies are judged so many records at a time.
_PORTION = 100
# What of a record is as it was sent.
_SENT = pa.schema(
    [
        RECORD_SCHEMA.field(name)
        for name in ("topic", "partition", "offset", "broker_at", "key", "body", "headers")
    ]
)
Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of rows that were judged anew."""

    accepted: int
    rejected: int


def replay(
    contract_id: str, ids: Collection[str] = (), who: str = "", settings: Settings | None = None
) -> Replayed:
    """Judge what waits of a contract, or some of it, by what is known now; safe at any time."""
    settings = settings or read_settings()
    contract, store = find(contract_id), wiring.store(settings)
    work = _Replay(settings, contract, store, wiring.known(settings))
    # Before what waits is listed: what an older version refuses meanwhile must count as news.
    others = refusals_of_others(store.open(contract.table), contract)
    held = [row for row in attempts.waiting(store, clock.now()) if row["contract"] == contract.id]
    # A record is judged as one: what it counts as landed is what landed of it.
    places = sorted(
        {_place(row) for row in held if (row["id"] in ids if ids else row["state"] != words.WAIVED)}
    )
    wanted = set(places)
    waiting = [row for row in held if _place(row) in wanted]
    by_place: dict[Place, list[Row]] = {}
    for row in waiting:
        by_place.setdefault(_place(row), []).append(row)
    accepted: set[str] = set()
    for start in range(0, len(places), _PORTION):
        some = places[start : start + _PORTION]
        accepted |= work.judge([row for place in some for row in by_place[place]])
        crash_here(settings.crash.dir, "replay.after_portion")
    if not ids:
        work.note_judged(others)
    asked = [row for row in waiting if not ids or row["id"] in ids]
    told = [
        (str(row["id"]), str(row["id"]) in accepted)
        for row in asked
        if row["state"] != words.WAIVED or row["id"] in accepted
    ]
    why = f"judged by {contract.id} {contract.version}"
    words.tell(
        store,
        words.OF_ROWS,
        [(i, quarantine.ACCEPTED if good else quarantine.REJECTED) for i, good in told],
        words.Word(who or "landing", why, clock.now()),
    )
    found = Replayed(len(accepted), len(told) - len(accepted))
    logger("replay").info("replayed", contract=contract.id, accepted=found.accepted)
    return found


def waive(
    ids: Sequence[str], who: str, why: str, until: datetime, settings: Settings | None = None
) -> int:
    """Put up with rows for a time: they stay where they are, and stop being asked about."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    there = {str(row["id"]) for row in attempts.waiting(store, clock.now())}
    if missing := sorted(set(ids) - there):
        raise ConfigurationError(
            f"No row {missing[0]} waits in quarantine.",
            cure="take ids from `nplusx quarantine list`.",
        )
    told = [(each, words.WAIVED) for each in dict.fromkeys(ids)]
    words.tell(store, words.OF_ROWS, told, words.Word(who, why, clock.now(), until))
    return len(told)


def is_due(handle: TableHandle | None, contract: Contract) -> bool:
    """Tell whether rows may wait that only another version of the contract refused."""
    # A table that nothing has landed in holds nothing back either.
    if handle is None or handle.mark(GENERATION) is None:
        return False
    return (handle.mark(judged(contract)) or 0) < refusals_of_others(handle, contract)


def _place(row: Row) -> Place:
    return str(row["topic"]), int(str(row["partition"])), int(str(row["offset"]))


class _TooMuchError(Exception):
    """The records unfold to more than is judged at once."""


class _Replay:
    """Judges records of one contract again."""

    def __init__(
        self, settings: Settings, contract: Contract, store: TableStore, known: Known
    ) -> None:
        self._settings, self._contract = settings, contract
        self._store, self._known = store, known
        self._step = Step(store, contract, settings.crash.dir)

    def judge(self, waiting: Sequence[Row]) -> set[str]:
        """Land what is good now; give the ids of the rows that no longer wait."""
        while True:
            handle = self._store.open(self._contract.table)
            gone = attempts.replayed_in(handle)
            left = [row for row in waiting if row["id"] not in gone]
            done = {str(row["id"]) for row in waiting} - {str(row["id"]) for row in left}
            try:
                return done | self._once(handle, left)
            except ConflictError:
                # Another replay, or a lander on the same stream, was quicker: look again.
                continue
            except _TooMuchError:
                places = sorted({_place(row) for row in left})
                middle = places[len(places) // 2]
                done |= self.judge([row for row in left if _place(row) < middle])
                return done | self.judge([row for row in left if _place(row) >= middle])

    def note_judged(self, others: int) -> None:
        """Remember that this version has judged all that others had refused so often."""
        name = judged(self._contract)
        while ((handle := self._store.open(self._contract.table)).mark(name) or 0) < others:
            with suppress(ConflictError):
                self._step.write(handle, Harvest([], [], []), {name: others}, {})
        crash_here(self._settings.crash.dir, "replay.after_judging")

    def _once(self, handle: TableHandle, waiting: Sequence[Row]) -> set[str]:
        whole = {_place(row) for row in waiting if row["row"] == WHOLE_RECORD}
        rows = {(*_place(row), int(str(row["row"]))) for row in waiting} - {
            (*place, WHOLE_RECORD) for place in whole
        }
        sequences = Sequences(lambda *of: handle.mark(sequence_mark(*of)))
        sequences.begin(_but(earlier_in(self._store, self._contract), whole))
        intake = Intake(self._contract, self._known, self._settings.land, sequences)
        anew = intake.take(runs := self._runs(handle, whole))
        taken = [each for each in anew.taken if each.verdict != REFUSED]
        kept = {record.place for each in taken for record in each.run}
        refused = [
            each for each in anew.refused if (each.topic, each.partition, each.offset) in kept
        ]
        again = Intake(self._contract, self._known, self._settings.land, sequences)
        waits: dict[Place, set[int]] = {}
        for topic, part, offset, number in rows:
            waits.setdefault((topic, part, offset), set()).add(number)
        others = self._runs(handle, set(waits))
        reopened, tables = again.reopen(others, waits)
        if anew.records + len(reopened) < sum(map(len, (*runs, *others))):
            raise _TooMuchError
        good = _only(joined(tables, landing_schema(self._contract)), rows)
        touched = {place[:3] for place in _places(good)}
        taken += [each for each in reopened if each.record.place in touched]
        accepted = {row_id(*place, WHOLE_RECORD) for place in kept}
        accepted |= {row_id(*place) for place in _places(good)}
        if accepted:
            harvest = Harvest(taken, [*anew.landed, good], refused)
            facts = {"replayed": sorted(accepted), "holes": sequences.holes}
            marks = {_MARK: (handle.mark(_MARK) or 0) + 1, **sequences.marks()}
            self._step.write(handle, harvest, marks, facts)
        return accepted

    def _runs(self, handle: TableHandle, places: set[Place]) -> tuple[Run, ...]:
        """Take signed records as they came, in their order on the bus."""
        at = attempts.Moment({self._contract.table: handle})
        found = attempts.records_at(self._store, {self._contract.id: places}, _SENT, at).to_pylist()
        records = (opening.received(each) for each in found if each["body"] is not None)
        # By themselves: a step may be full after any of them.
        return tuple(one for run in runs_of(records) for one in run.alone())


def _but(earlier: Earlier, places: set[Place]) -> Earlier:
    """Leave out the records that are judged again: they are no repeats of themselves."""

    def others(stream: str, epoch: str, sequence: int) -> list[Arrival]:
        return [each for each in earlier(stream, epoch, sequence) if each.place not in places]

    return others


def _only(whole: pa.Table, rows: set[tuple[str, int, int, int]]) -> pa.Table:
    """Keep the rows that waited; the others of their records have landed long ago."""
    keep = [place in rows for place in _places(whole)]
    return whole.filter(pa.array(keep, pa.bool_()))


def _places(rows: pa.Table) -> list[tuple[str, int, int, int]]:
    names = ("_topic", "_partition", "_offset", "_row")
    return list(zip(*(rows[name].to_pylist() for name in names), strict=True))

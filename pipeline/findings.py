"""What the doctor looks for beside the equation: lost offsets, stuck lag, agents, the ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bus.ports import Bus
from bus.topics import contract_of, topic_of
from contracts.loader import all_contracts
from kernel import canonical, clock
from kernel.errors import DependencyUnavailableError
from kernel.ids import ContractId
from pipeline import keep, wiring
from pipeline.publish import RoundReport
from pipeline.seal import pack_path
from pipeline.settings import Settings
from pipeline.standing import Standing
from warehouse import ledger
from warehouse.store import Commit, TableStore

_LOOK_SECONDS = 5.0
Interval = tuple[int, int]


def holes_of(
    commits: Iterable[Commit], records: pa.Table
) -> Mapping[tuple[str, str], list[Interval]]:
    """Take the numbers that commits told missing, without what came later after all."""
    told: dict[tuple[str, str], list[Interval]] = {}
    for commit in commits:
        for hole in _listed(commit.facts.get("holes")):
            here = str(hole["stream"]), str(hole["epoch"])
            told.setdefault(here, []).append((int(str(hole["from"])), int(str(hole["to"]))))
    return {
        here: missing
        for here, holes in told.items()
        if (missing := [part for hole in holes for part in _without(hole, records, here)])
    }


def _without(hole: Interval, records: pa.Table, here: tuple[str, str]) -> Iterator[Interval]:
    """Cut the numbers that came out of a hole, however wide it is."""
    stream, epoch = here
    came = records.filter(
        (pc.field("stream") == stream)
        & (pc.field("epoch") == epoch)
        & (pc.field("sequence") >= hole[0])
        & (pc.field("sequence") <= hole[1])
    )["sequence"]
    first = hole[0]
    for number in sorted(set(came.to_pylist())):
        if number > first:
            yield first, number - 1
        first = number + 1
    if first <= hole[1]:
        yield first, hole[1]


def gap_findings(contract: str, commits: Iterable[Commit]) -> Iterator[str]:
    """Name the offsets that were gone before they were landed."""
    for commit in commits:
        for gap in _listed(commit.facts.get("gaps")):
            place = f"{contract}: {gap['topic']} partition {gap['partition']}"
            if gap["end"] is None:
                yield (
                    f"{place} was made anew when landing had read to offset {gap['first']}: what"
                    " it held beyond is known only by the numbers of its streams."
                )
            else:
                yield (
                    f"{place}: offsets {gap['first']} to {int(str(gap['end'])) - 1} were gone"
                    " before they were landed."
                )


def kept_notices(store: TableStore) -> Iterator[str]:
    """Tell of records that wait for a contract, or to be landed now that there is one."""
    contracts = all_contracts()
    for topic, handle in keep.kept_topics(store):
        contract = contracts.get(contract_of(topic))
        count = sum(int(str(each.facts.get("records", 0))) for each in handle.commits())
        if contract is None and count:
            yield (
                f"{topic}: {count} records are kept, for no contract is for them;"
                " they land when there is one."
            )
        elif contract is not None and any(keep.kept(store, contract)):
            yield f"{topic}: records that were kept are not landed yet; `nplusx land` lands them."


def lag_findings(
    bus: Bus, contract: ContractId, at: Standing, patience: timedelta
) -> Iterator[str]:
    """Name a topic that cannot be read on, and a lag that has lasted too long."""
    try:
        at.require_readable()
    except DependencyUnavailableError as refused:
        yield str(refused)
        return
    waiting = {part: mark for part, mark in at.start.items() if mark < at.ends[part]}
    if not waiting:
        return
    reader = bus.reader(topic_of(contract), waiting)
    try:
        records = reader.poll(_LOOK_SECONDS).records
    finally:
        reader.close()
    oldest = min((each.broker_at for each in records), default=None)
    if oldest is not None and clock.now() - oldest > patience:
        lag = sum(at.ends[part] - mark for part, mark in waiting.items())
        yield (
            f"{contract}: {lag} offsets wait to be landed, the oldest since"
            f" {oldest.isoformat(timespec='seconds')}; see the log of the land task."
        )


def agent_findings(
    reports: Mapping[str, tuple[RoundReport | None, float]],
    records: pa.Table,
    landed: Sequence[str],
) -> Iterator[str]:
    """Compare what each agent here says it sent with what came; name the silent and the ailing.

    An agent's own count is taken before the bus's, so that what it counts must have come.
    """
    for agent, (report, patience) in reports.items():
        if report is None:
            yield f"agent {agent} has never made a round."
            continue
        silent = clock.now() - report.finished_at
        if silent > timedelta(seconds=patience):
            yield f"agent {agent} is silent since {report.finished_at.isoformat()}."
        for error in sorted({report.error, *(each.error for each in report.streams)} - {""}):
            yield f"agent {agent} is in trouble: {error}"
        yield from _counted(report, records, landed)


def _counted(report: RoundReport, records: pa.Table, landed: Sequence[str]) -> Iterator[str]:
    for each in report.streams:
        if each.contract not in landed:
            continue
        mine = (pc.field("stream") == each.stream) & (pc.field("epoch") == report.epoch)
        numbers = records.filter(mine).group_by("sequence").aggregate([("rows", "max")])
        sent = each.batches_ever - each.pending
        if numbers.num_rows < sent:
            yield (
                f"{each.stream}: the agent sent {sent} batches of epoch {report.epoch} and"
                f" {numbers.num_rows} came."
            )
        elif not each.pending and numbers.num_rows == sent:
            came = pc.sum(numbers["rows_max"]).as_py() or 0
            if came != each.rows_ever:
                yield f"{each.stream}: the agent sent {each.rows_ever} rows and {came} came."


def ledger_findings(settings: Settings, store: TableStore) -> Iterator[str]:
    """Check the chain, and that the pack of each entry is there and is the one that was sealed."""
    if not store.exists(ledger.TABLE):
        return
    ledger.check(store, wiring.county_key(settings).public)
    for entry in ledger.entries(store):
        path = pack_path(settings, entry)
        found = _digest(path, path.stat().st_mtime_ns) if path.exists() else "missing"
        if found != entry["pack_digest"]:
            yield (
                f"ledger entry {entry['number']}: its pack {path.name} is"
                f" {'missing' if found == 'missing' else 'not the one that was sealed'};"
                " restore it from a copy."
            )


@lru_cache(maxsize=10_000)
def _digest(path: Path, _changed_at: int) -> str:
    return canonical.digest(path.read_bytes())


def _listed(value: object) -> list[dict[str, object]]:
    return value if isinstance(value, list) else []

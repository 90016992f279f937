"""What the doctor looks for beside the equation: lost offsets, stuck lag, agents, the ledger."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bus.ports import Bus
from bus.topics import topic_of
from contracts.loader import all_contracts
from contracts.model import Publisher
from kernel import canonical, clock
from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError
from kernel.ids import ContractId
from pipeline import audit, pack, promises, wiring
from pipeline.intake import UNVERIFIED
from pipeline.maintain import ATTEMPTED
from pipeline.rounds import RoundReport
from pipeline.seal import pack_path
from pipeline.settings import Settings
from pipeline.standing import Standing
from warehouse import attempts, ledger
from warehouse.store import Commit, TableStore

_LOOK_SECONDS = 5.0
_SHORT = 12
Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something unexplained, and what to do about it."""

    what: str
    cure: str
    # It stays, however well all is from now on: a person may explain it.
    lasts: bool = False
    # Who explained it and why.
    word: Mapping[str, object] | None = None
    # What bears names of its own: of these a word is said, so that it is of no others.
    about: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Name the finding by what it is about, else by its words: what changes is another."""
        if len(self.about) == 1:
            return self.about[0]
        said = canonical.dumps(self.about) if self.about else self.what.encode()
        return canonical.digest(said)[:_SHORT]


def lasting(what: str) -> Finding:
    """Tell of what is gone: it may come again from its source, else a person explains it."""
    cure = "let the source send it again if it can, or `nplusx doctor waive ID --who … --why …`."
    return Finding(what, cure, lasts=True)


def refused(error: NplusxError) -> Finding:
    """Tell of what could not be looked at."""
    return Finding(f"{error.where}: {error.what}" if error.where else error.what, error.cure)


@dataclass(slots=True)
class StreamHealth:
    """The equation of one stream, in rows; holes are sequence numbers that never came."""

    stream: str
    contract: str
    produced: int = 0
    landed: int = 0
    quarantined: int = 0
    repeats: int = 0
    holes: list[dict[str, object]] = field(default_factory=list)
    last_seen: datetime | None = None

    @property
    def is_balanced(self) -> bool:
        """Tell whether every row produced is accounted for."""
        return self.produced == self.landed + self.quarantined + self.repeats


# Where an agent's trouble is found.
_AT_THE_AGENT = "see its log; start it again with `nplusx agent run` if it is not running."


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


def gap_findings(contract: str, commits: Iterable[Commit]) -> Iterator[Finding]:
    """Name the offsets that were gone before they were landed."""
    for commit in commits:
        for gap in _listed(commit.facts.get("gaps")):
            place = f"{contract}: {gap['topic']} partition {gap['partition']}"
            if gap["end"] is None:
                yield lasting(
                    f"{place} was made anew when landing had read to offset {gap['first']}: what"
                    " it held beyond is known only by the numbers of its streams."
                )
            else:
                yield lasting(
                    f"{place}: offsets {gap['first']} to {int(str(gap['end'])) - 1} were gone"
                    " before they were landed."
                )


def clock_findings(bus: Bus, contracts: Iterable[ContractId]) -> Iterator[Finding]:
    """Name the topics in which a record's time is not the broker's."""
    for topic in bus.timed_by_producers([topic_of(each) for each in contracts]):
        yield Finding(
            f"{topic}: as far as the broker tells, message.timestamp.type lets producers choose the"
            " time of their records, by which keys are judged: a revoked one could still sign.",
            "set message.timestamp.type=LogAppendTime on the topic with kafka-configs.sh; the"
            " platform's principal must be allowed DESCRIBE_CONFIGS.",
        )


def added_notices(contract: str, commits: Iterable[Commit]) -> Iterator[str]:
    """Tell of partitions that a topic gained: its keys have moved."""
    for commit in commits:
        added = commit.facts.get("partitions_added")
        for part in added if isinstance(added, list) else []:
            yield (
                f"{contract}: partition {part} was added by {commit.facts['landed_at']}; streams"
                " have changed their partition then, and numbers may have come out of order."
            )


def lag_findings(
    bus: Bus, contract: ContractId, at: Standing, patience: timedelta
) -> Iterator[Finding]:
    """Name a topic that cannot be read on, and a lag that has lasted too long."""
    try:
        at.require_readable()
    except DependencyUnavailableError as unreadable:
        yield refused(unreadable)
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
        yield Finding(
            f"{contract}: {lag} offsets wait to be landed, the oldest since"
            f" {oldest.isoformat(timespec='seconds')}.",
            "see the log of the land task, or run `nplusx land`.",
        )


def agent_findings(
    reports: Mapping[str, tuple[RoundReport | None, float]],
    records: pa.Table,
    streams: Iterable[StreamHealth],
    landed: Sequence[str],
) -> Iterator[Finding]:
    """Compare what each agent here says it sent with what came; name the silent and the ailing.

    An agent's own count is taken before the bus's, so that what it counts must have come.
    """
    for agent, (report, patience) in reports.items():
        if report is None:
            yield Finding(f"agent {agent} has never made a round.", _AT_THE_AGENT)
            continue
        silent = clock.now() - report.finished_at
        if silent > timedelta(seconds=patience):
            since = report.finished_at.isoformat()
            yield Finding(f"agent {agent} is silent since {since}.", _AT_THE_AGENT)
        for error in sorted({report.error, *(each.error for each in report.streams)} - {""}):
            yield Finding(f"agent {agent} is in trouble: {error}", _AT_THE_AGENT)
        missing = {
            each.stream: sum(
                int(str(hole["to"])) - int(str(hole["from"])) + 1
                for hole in each.holes
                if hole["epoch"] == report.epoch
            )
            for each in streams
        }
        yield from _counted(report, records, missing, landed)


def _counted(
    report: RoundReport, records: pa.Table, missing: Mapping[str, int], landed: Sequence[str]
) -> Iterator[Finding]:
    """Compare counts; a hole is a finding of its own, and told once."""
    for each in report.streams:
        if each.contract not in landed:
            continue
        mine = (pc.field("stream") == each.stream) & (pc.field("epoch") == report.epoch)
        numbers = records.filter(mine).group_by("sequence").aggregate([("rows", "max")])
        sent = each.batches_ever - each.pending
        if numbers.num_rows + missing.get(each.stream, 0) < sent:
            yield Finding(
                f"{each.stream}: the agent sent {sent} batches of epoch {report.epoch} and"
                f" {numbers.num_rows} came.",
                _AT_THE_AGENT,
            )
        elif not each.pending and numbers.num_rows == sent:
            came = pc.sum(numbers["rows_max"]).as_py() or 0
            if came != each.rows_ever:
                yield Finding(
                    f"{each.stream}: the agent sent {each.rows_ever} rows and {came} came.",
                    _AT_THE_AGENT,
                )


def stale_findings(streams: Iterable[StreamHealth], patience: timedelta) -> Iterator[Finding]:
    """Name the factories' sources of which nothing has come for long; an authority's may rest."""
    last: dict[str, datetime] = {}
    for each in streams:
        contract = all_contracts().get(ContractId(each.contract))
        is_proven = not each.stream.startswith(UNVERIFIED)
        if contract is None or contract.publisher is not Publisher.FACTORY or not is_proven:
            continue
        if each.last_seen is not None:
            source = each.stream.rpartition("/")[0]
            last[source] = max(last.get(source, each.last_seen), each.last_seen)
    for source, at in last.items():
        if clock.now() - at > patience:
            yield Finding(
                f"{source}: nothing has come since {at.isoformat(timespec='seconds')}.",
                "ask the factory whether its agent runs; a pause or an end is explained with"
                " `nplusx doctor waive ID --who … --why … --until 2026-12-31`.",
                lasts=True,
            )


def audit_findings(store: TableStore) -> Iterator[Finding]:
    """Tell on which rows gate and second opinion disagree, and who took others on."""
    found: dict[tuple[str, bytes], list[str]] = {}
    for each in audit.findings(store):
        word = each["word"] if isinstance(each["word"], dict) else {}
        said = canonical.dumps({name: word[name] for name in ("who", "why") if word})
        found.setdefault((str(each["contract"]), said), []).append(str(each["id"]))
    for (contract, said), rows in sorted(found.items()):
        yield Finding(
            f"{contract}: gate and second opinion disagree on {len(rows)} rows.",
            audit.CURE,
            lasts=True,
            word=pack.mapping(canonical.loads(said)) or None,
            about=tuple(sorted(rows)),
        )


def lost_findings(store: TableStore, at: attempts.Moment) -> Iterator[Finding]:
    """Tell of landing tables that are gone: records and refused rows of them are left."""
    left: Counter[str] = Counter()
    for name in ATTEMPTED:
        left.update({key: len(those) for key, those in attempts.bereft(store, name, at).items()})
    for contract, count in sorted(left.items()):
        yield Finding(
            f"{contract}: what {count} writes of a landing table left is there, and the table is"
            " gone or was made anew.",
            "restore the table from a backup; what is left of it is kept. If there is none, land"
            " again what the bus or the sources still have, and"
            " `nplusx doctor waive ID --who … --why …`.",
            lasts=True,
        )


def promise_findings(store: TableStore) -> Iterator[Finding]:
    """Tell of promises that whole tables break."""
    for each in promises.findings(store):
        if each["state"] == promises.OPEN:
            name = str(each["id"])
            yield Finding(promises.worded(each), promises.CURE, lasts=True, about=(name,))


def ledger_findings(settings: Settings, store: TableStore) -> Iterator[Finding]:
    """Check the chain, and that the pack of each entry is there and is the one that was sealed."""
    if not store.exists(ledger.TABLE):
        return
    try:
        ledger.check(store, wiring.county_key(settings).public)
    except ConfigurationError as gone:
        yield refused(gone)
    for entry in ledger.entries(store):
        path = pack_path(settings, entry)
        found = _digest(path, path.stat().st_mtime_ns) if path.exists() else "missing"
        if found != entry["pack_digest"]:
            yield Finding(
                f"ledger entry {entry['number']}: its pack {path.name} is"
                f" {'missing' if found == 'missing' else 'not the one that was sealed'}.",
                "restore it from a copy.",
            )


@lru_cache(maxsize=10_000)
def _digest(path: Path, _changed_at: int) -> str:
    return canonical.digest(path.read_bytes())


def _listed(value: object) -> list[dict[str, object]]:
    return value if isinstance(value, list) else []

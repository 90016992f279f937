"""Prometheus: what commits and standings say, in the text format of its scrapers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from contracts.loader import all_contracts
from kernel import clock
from kernel.errors import DependencyUnavailableError
from kernel.log import logger
from pipeline import wiring
from pipeline.land import standings
from pipeline.settings import Settings
from warehouse import attempts, words
from warehouse.landing import JUDGED, RECORD_SCHEMA, REFUSED, REPEAT, TOMBSTONE
from warehouse.store import Commit, TableStore

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (1, 5, 15, 60, 300, 900, 3600, 21600, 86400)
_SEEN = pa.schema([RECORD_SCHEMA.field(n) for n in ("enterprise", "stream", "broker_at")])
# A stream is named enterprise/agent/source/contract.
_SOURCE = 2
_OUTCOMES = {
    **dict.fromkeys(JUDGED, "landed"),
    REFUSED: "undecodable",
    REPEAT: "repeated",
    TOMBSTONE: "tombstone",
}
Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Family:
    """One metric with its samples: suffix, labels, value."""

    name: str
    kind: str
    help: str
    samples: list[tuple[str, Labels, float]] = field(default_factory=list)

    def add(self, value: float, suffix: str = "", **labels: object) -> None:
        said = tuple((name, str(label)) for name, label in labels.items())
        self.samples.append((suffix, said, value))

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        for suffix, labels, value in self.samples:
            said = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels)
            yield f"{self.name}{suffix}{{{said}}} {value:.15g}"


def exposition(settings: Settings) -> str:
    """Write every metric; what the bus alone knows is left out while it is silent."""
    store = wiring.store(settings)
    at = attempts.Moment.as_far(store)
    for name, why in at.broken.items():
        logger("prometheus").warning("a table is left out", table=name, error=why.what)
    commits = {
        str(contract.id): at.handles[contract.table].commits()
        for contract in all_contracts().values()
        if contract.table in at.handles
    }
    families = [
        _rows(commits),
        _records(commits),
        _failures(store),
        _latency(commits),
        *_offsets(settings),
        _waiting(store, at),
        _last_seen(store, at),
        _files(store, at),
    ]
    return "".join(f"{line}\n" for family in families for line in family.lines())


Commits = Mapping[str, Sequence[Commit]]


def _rows(commits: Commits) -> _Family:
    found = _Family("nplusx_rows_total", "counter", "Rows by what became of them.")
    for contract, made in commits.items():
        total = Counter[str]()
        for commit in made:
            total["landed"] += int(str(commit.facts.get("added", 0)))
        for commit in _first_judged(made):
            # A row that is judged anew went to quarantine before.
            counts = _mapping(commit.facts.get("counts"))
            total["quarantined"] += int(str(counts.get("quarantined", 0)))
            total["repeated"] += int(str(counts.get("repeats", 0)))
        for outcome in ("landed", "quarantined", "repeated"):
            found.add(total[outcome], contract=contract, outcome=outcome)
    return found


def _records(commits: Commits) -> _Family:
    found = _Family("nplusx_records_total", "counter", "Kafka records by what became of them.")
    for contract, made in commits.items():
        total = Counter[str]()
        for commit in _first_judged(made):
            for verdict, count in _mapping(commit.facts.get("verdicts")).items():
                total[_OUTCOMES[verdict]] += int(str(count))
        for outcome in dict.fromkeys(_OUTCOMES.values()):
            found.add(total[outcome], contract=contract, outcome=outcome)
    return found


def _failures(store: TableStore) -> _Family:
    found = _Family(
        "nplusx_evidence_verify_failures_total",
        "counter",
        "Decisions whose evidence did not verify when it was to be sealed, by reason.",
    )
    name = words.OF_EVIDENCE
    found.add(store.open(name).dataset().count_rows() if store.exists(name) else 0)
    return found


def _latency(commits: Commits) -> _Family:
    found = _Family(
        "nplusx_landing_latency_seconds",
        "histogram",
        "From the arrival on the bus of a commit's oldest record to the commit.",
    )
    for contract, made in commits.items():
        took = [
            (commit.at - datetime.fromisoformat(str(commit.facts["oldest_at"]))).total_seconds()
            for commit in _first_judged(made)
            if "oldest_at" in commit.facts
        ]
        for limit in _BUCKETS:
            within = sum(seconds <= limit for seconds in took)
            found.add(within, "_bucket", contract=contract, le=limit)
        found.add(len(took), "_bucket", contract=contract, le="+Inf")
        found.add(sum(took), "_sum", contract=contract)
        found.add(len(took), "_count", contract=contract)
    return found


def _first_judged(commits: Iterable[Commit]) -> Iterator[Commit]:
    return (each for each in commits if "replayed" not in each.facts)


def _offsets(settings: Settings) -> tuple[_Family, _Family]:
    marks = _Family("nplusx_watermark_offset", "gauge", "Next offset that landing will read.")
    ends = _Family("nplusx_end_offset", "gauge", "Offset at which the partition ends.")
    try:
        with closing(wiring.bus(settings)) as bus:
            found = standings(settings, bus)
    except DependencyUnavailableError as silent:
        logger("prometheus").warning("the bus is silent", error=silent.what)
        return marks, ends
    for contract, at in found.items():
        for family, offsets in ((marks, at.marks), (ends, at.ends)):
            for part, offset in offsets.items():
                family.add(offset, contract=contract, partition=part)
    return marks, ends


def _waiting(store: TableStore, at: attempts.Moment) -> _Family:
    found = _Family("nplusx_quarantine_open", "gauge", "Rows in quarantine that nobody waived.")
    waiting = Counter(
        str(row["contract"])
        for row in attempts.waiting(store, clock.now(), at=at)
        if row["state"] != words.WAIVED
    )
    for contract in all_contracts():
        found.add(waiting[contract], contract=contract)
    return found


def _last_seen(store: TableStore, until: attempts.Moment) -> _Family:
    found = _Family(
        "nplusx_source_last_seen_timestamp_seconds",
        "gauge",
        "When a record of a source last came to the bus.",
    )
    # Only records whose sender is proven: others may claim any name, and as many as they like.
    rows = attempts.records(store, _SEEN, pc.field("verdict").isin(list(JUDGED)), until)
    newest = rows.group_by(["enterprise", "stream"]).aggregate([("broker_at", "max")])
    last: dict[tuple[str, str], datetime] = {}
    for row in newest.to_pylist():
        source = row["enterprise"], row["stream"].split("/")[_SOURCE]
        last[source] = max(last.get(source, row["broker_at_max"]), row["broker_at_max"])
    for (enterprise, name), at in sorted(last.items()):
        found.add(at.timestamp(), enterprise=enterprise, source=name)
    return found


def _files(store: TableStore, at: attempts.Moment) -> _Family:
    found = _Family("nplusx_commit_files", "gauge", "Files that hold the rows of a table now.")
    for name in store.names():
        if name not in at.broken:
            handle = at.handles.get(name) or store.open(name)
            found.add(handle.files().count, table=name)
    return found


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

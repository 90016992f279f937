"""Doctor: proves produced = landed + quarantined + repeats for every stream; reads, never mends."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

import pyarrow as pa

from contracts.loader import all_contracts
from kernel.errors import ChecksFailedError, DependencyUnavailableError
from pipeline import wiring
from pipeline.land import lag
from pipeline.settings import Settings, read_settings
from warehouse import attempts, ledger, quarantine
from warehouse.landing import RECORD_SCHEMA, RECORDS, REPEAT
from warehouse.store import Commit, TableStore

Stream = tuple[str, str]
# What is counted of a record: never its body, which is nearly all of its bytes.
_COUNTED = pa.schema(
    [
        RECORD_SCHEMA.field(name)
        for name in ("stream", "contract", "epoch", "sequence", "rows", "verdict", "broker_at")
    ]
)
_REFUSED = pa.schema([quarantine.SCHEMA.field(name) for name in ("stream", "contract", "rows")])


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


@dataclass(frozen=True, slots=True)
class Health:
    """What was found over all."""

    streams: tuple[StreamHealth, ...]
    lag: Mapping[str, int]
    findings: tuple[str, ...]
    # Why the bus could not be asked; it stands among the findings too.
    silent: DependencyUnavailableError | None = None

    @property
    def ok(self) -> bool:
        """Tell whether nothing is unexplained."""
        return not self.findings

    def require(self) -> None:
        """Fail when anything is unexplained; a silent bus alone is its own kind of failure."""
        if self.silent is not None and self.findings == (str(self.silent),):
            raise self.silent
        if self.findings:
            raise ChecksFailedError(
                "Something is unexplained: " + " ".join(self.findings),
                cure="follow up each finding; nothing was changed.",
            )

    def as_json(self) -> dict[str, object]:
        """Give the report in its documented form."""
        return {
            "ok": self.ok,
            "streams": [
                {**asdict(each), "lag": self.lag.get(each.contract, 0)} for each in self.streams
            ],
            "findings": list(self.findings),
        }


def examine(settings: Settings | None = None) -> Health:
    """Look at bus, tables and ledger, and list what is unexplained."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    streams = _streams(store)
    findings = [
        f"{each.stream}: {each.produced} rows were produced, {each.landed} landed,"
        f" {each.quarantined} quarantined, {each.repeats} repeats: they do not add up."
        for each in streams
        if not each.is_balanced
    ]
    findings += [
        f"{each.stream}: sequence {hole['from']} to {hole['to']} never came."
        for each in streams
        for hole in each.holes
    ]
    behind: dict[str, int] = {}
    silent: DependencyUnavailableError | None = None
    try:
        for contract, (ends, marks) in lag(settings).items():
            behind[contract] = sum(end - marks.get(part, 0) for part, end in ends.items())
            findings += _position_findings(contract, ends, marks)
    except DependencyUnavailableError as refused:
        silent = refused
        findings.append(str(refused))
    if store.exists(ledger.TABLE):
        ledger.check(store, wiring.county_key(settings).public)
    return Health(streams, behind, tuple(findings), silent)


def diagnose() -> dict[str, object]:
    """Examine, and fail when anything is unexplained: for the DAG that alarms."""
    health = examine()
    health.require()
    return {"streams": len(health.streams), "lag": sum(health.lag.values())}


def _position_findings(
    contract: str, ends: Mapping[str, int], marks: Mapping[str, int]
) -> Iterable[str]:
    for part, end in ends.items():
        if marks.get(part, 0) > end:
            yield (
                f"{contract}: partition {part} ends at {end} and the table stands at"
                f" {marks[part]}: the topic was made anew."
            )


def _streams(store: TableStore) -> tuple[StreamHealth, ...]:
    """Count each stream's rows three ways: as sent, as landed, as quarantined."""
    found: dict[Stream, StreamHealth] = {}

    def of(stream: str, contract: str) -> StreamHealth:
        return found.setdefault((stream, contract), StreamHealth(stream, contract))

    records = attempts.visible(store, RECORDS, _COUNTED)
    for row in records.to_pylist():
        health = of(row["stream"], row["contract"])
        health.produced += row["rows"]
        health.repeats += row["rows"] if row["verdict"] == REPEAT else 0
        health.last_seen = max(health.last_seen or row["broker_at"], row["broker_at"])
    refused = attempts.visible(store, quarantine.QUARANTINE, _REFUSED)
    for row in refused.to_pylist():
        of(row["stream"], row["contract"]).quarantined += row["rows"]
    for contract in all_contracts().values():
        if not store.exists(contract.table):
            continue
        handle = store.open(contract.table)
        counts = Counter(handle.dataset().to_table(["_stream"])["_stream"].to_pylist())
        for stream, count in counts.items():
            of(stream, contract.id).landed += count
        for stream, holes in _holes(handle.commits(), records).items():
            of(stream, contract.id).holes += holes
    return tuple(found[each] for each in sorted(found))


def _holes(commits: Iterable[Commit], records: pa.Table) -> Mapping[str, list[dict[str, object]]]:
    """Take the holes that commits tell of, without what came later after all."""
    open_holes: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
    told = [hole for each in commits for hole in _listed(each.facts.get("holes"))]
    if not told:
        return open_holes
    names = ("stream", "epoch", "sequence")
    seen = set(zip(*(records[name].to_pylist() for name in names), strict=True))
    for hole in told:
        stream, epoch = str(hole["stream"]), str(hole["epoch"])
        numbers = range(int(str(hole["from"])), int(str(hole["to"])) + 1)
        missing = [number for number in numbers if (stream, epoch, number) not in seen]
        if missing:
            open_holes[stream].append({"epoch": epoch, "from": missing[0], "to": missing[-1]})
    return open_holes


def _listed(value: object) -> list[dict[str, object]]:
    return value if isinstance(value, list) else []

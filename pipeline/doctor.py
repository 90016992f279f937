"""Doctor: proves produced = landed + quarantined + repeats for every stream; reads, never mends."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime

import pyarrow as pa

from contracts.loader import all_contracts
from kernel.errors import ChecksFailedError, DependencyUnavailableError
from pipeline import promises, wiring
from pipeline.findings import agent_findings, gap_findings, holes_of, lag_findings, ledger_findings
from pipeline.land import standings
from pipeline.publish import RoundReport, read_status, resident_agents
from pipeline.settings import Settings, read_settings
from warehouse import attempts, quarantine
from warehouse.landing import RECORD_SCHEMA, REPEAT
from warehouse.store import TableStore

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
    """Look at agents, bus, tables and ledger, and list what is unexplained."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    # Agents first, then the bus, then the tables: what one counts must have come to the next.
    agents = _agent_reports(settings)
    found: list[str] = []
    behind: dict[str, int] = {}
    silent: DependencyUnavailableError | None = None
    try:
        with closing(wiring.bus(settings)) as bus:
            for contract, at in standings(settings, bus).items():
                behind[contract] = sum(max(0, end - at.marks[p]) for p, end in at.ends.items())
                found += lag_findings(bus, contract, at, settings.doctor.patience)
    except DependencyUnavailableError as refused:
        silent = refused
        found.append(str(refused))
    moment = attempts.Moment(store)
    records = attempts.records(store, _COUNTED, at=moment)
    streams = _streams(store, records, moment)
    landed = [contract for contract, lag in behind.items() if not lag]
    findings = [
        *_equations(streams),
        *(
            f"{each.stream}: sequence {hole['from']} to {hole['to']} never came."
            for each in streams
            for hole in each.holes
        ),
        *_gaps(store),
        *found,
        *agent_findings(agents, records, landed),
        *ledger_findings(settings, store),
        *(promises.worded(f) for f in promises.findings(store) if f["state"] == promises.OPEN),
    ]
    return Health(streams, behind, tuple(findings), silent)


def _equations(streams: Iterable[StreamHealth]) -> Iterator[str]:
    for each in streams:
        if not each.is_balanced:
            yield (
                f"{each.stream}: {each.produced} rows were produced, {each.landed} landed,"
                f" {each.quarantined} quarantined, {each.repeats} repeats: they do not add up."
            )


def _gaps(store: TableStore) -> Iterator[str]:
    for contract in all_contracts().values():
        if store.exists(contract.table):
            yield from gap_findings(contract.id, store.open(contract.table).commits())


def _agent_reports(settings: Settings) -> dict[str, tuple[RoundReport | None, float]]:
    """Read what the agents of this platform say, and for how long each may be silent."""
    least = settings.doctor.patience.total_seconds()
    return {
        config.id: (read_status(config), max(least, 10 * config.poll_seconds))
        for config in resident_agents(settings)
    }


def diagnose() -> dict[str, object]:
    """Examine, and fail when anything is unexplained: for the DAG that alarms."""
    health = examine()
    health.require()
    return {"streams": len(health.streams), "lag": sum(health.lag.values())}


def _streams(store: TableStore, records: pa.Table, at: attempts.Moment) -> tuple[StreamHealth, ...]:
    """Count each stream's rows three ways: as sent, as landed, as quarantined."""
    found: dict[Stream, StreamHealth] = {}

    def of(stream: str, contract: str) -> StreamHealth:
        return found.setdefault((stream, contract), StreamHealth(stream, contract))

    for row in records.to_pylist():
        health = of(row["stream"], row["contract"])
        health.produced += row["rows"]
        health.repeats += row["rows"] if row["verdict"] == REPEAT else 0
        health.last_seen = max(health.last_seen or row["broker_at"], row["broker_at"])
    refused = attempts.quarantined(store, _REFUSED, at)
    for row in refused.to_pylist():
        of(row["stream"], row["contract"]).quarantined += row["rows"]
    for contract in all_contracts().values():
        handle = at.handles.get(contract.table)
        if handle is None:
            continue
        counts = Counter(handle.dataset().to_table(["_stream"])["_stream"].to_pylist())
        for stream, count in counts.items():
            of(stream, contract.id).landed += count
        for (stream, epoch), holes in holes_of(handle.commits(), records).items():
            of(stream, contract.id).holes += [
                {"epoch": epoch, "from": first, "to": last} for first, last in holes
            ]
    return tuple(found[each] for each in sorted(found))

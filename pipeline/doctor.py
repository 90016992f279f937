"""Doctor: proves produced = landed + quarantined + repeats for every stream; reads, never mends."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace

import pyarrow as pa

from bus.topics import contract_of
from contracts.loader import all_contracts
from kernel import clock
from kernel.errors import ChecksFailedError, ConfigurationError, DependencyUnavailableError
from pipeline import drift, keep, wiring
from pipeline.findings import (
    Finding,
    StreamHealth,
    added_notices,
    agent_findings,
    audit_findings,
    clock_findings,
    gap_findings,
    holes_of,
    lag_findings,
    lasting,
    ledger_findings,
    lost_findings,
    promise_findings,
    refused,
    stale_findings,
)
from pipeline.land import standings
from pipeline.rounds import RoundReport, read_status, resident_agents
from pipeline.settings import Settings, read_settings
from warehouse import attempts, quarantine, words
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


@dataclass(frozen=True, slots=True)
class Health:
    """What was found over all."""

    streams: tuple[StreamHealth, ...]
    lag: Mapping[str, int]
    found: tuple[Finding, ...]
    # What a person should know and nothing is wrong with.
    notices: tuple[str, ...] = ()
    # Why the bus could not be asked; it stands among the findings too.
    silent: DependencyUnavailableError | None = None

    @property
    def unexplained(self) -> tuple[Finding, ...]:
        """List what nobody has explained."""
        return tuple(each for each in self.found if each.word is None)

    @property
    def findings(self) -> tuple[str, ...]:
        """Say what nobody has explained."""
        return tuple(each.what for each in self.unexplained)

    @property
    def ok(self) -> bool:
        """Tell whether nothing is unexplained."""
        return not self.unexplained

    def require(self) -> None:
        """Fail when anything is unexplained; a silent bus alone is its own kind of failure."""
        if self.silent is not None and self.unexplained == (refused(self.silent),):
            raise self.silent
        if not self.ok:
            cures = dict.fromkeys(each.cure for each in self.unexplained)
            raise ChecksFailedError(
                "Something is unexplained: " + " ".join(self.findings), cure=" ".join(cures)
            )

    def as_json(self) -> dict[str, object]:
        """Give the report in its documented form."""
        return {
            "ok": self.ok,
            "streams": [
                {**asdict(each), "lag": self.lag.get(each.contract, 0)} for each in self.streams
            ],
            "findings": [
                {"id": each.id, "what": each.what, "cure": each.cure, "acknowledged": each.word}
                for each in self.found
            ],
            "notices": list(self.notices),
        }


def examine(settings: Settings | None = None) -> Health:
    """Look at agents, bus, tables and ledger, and list what is unexplained."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    # Agents first, then the bus, then the tables: what one counts must have come to the next.
    agents = _agent_reports(settings)
    found: list[Finding] = []
    behind: dict[str, int] = {}
    silent: DependencyUnavailableError | None = None
    try:
        with closing(wiring.bus(settings)) as bus:
            stands = standings(settings, bus)
            for contract, at in stands.items():
                behind[contract] = at.lag
                found += lag_findings(bus, contract, at, settings.doctor.patience)
            found += clock_findings(bus, stands)
    except DependencyUnavailableError as unanswered:
        silent = unanswered
        found.append(refused(unanswered))
    moment = attempts.Moment.as_far(store)
    records = attempts.records(store, _COUNTED, at=moment)
    streams = _streams(store, records, moment)
    landed = [contract for contract, lag in behind.items() if not lag]
    findings = [
        *map(refused, moment.broken.values()),
        *_equations(streams),
        *(
            lasting(
                f"{each.stream}, epoch {hole['epoch']}: sequence {hole['from']} to {hole['to']}"
                " never came."
            )
            for each in streams
            for hole in each.holes
        ),
        *_as_far(_gaps(store, moment)),
        *_as_far(lost_findings(store, moment)),
        *found,
        *agent_findings(agents, records, streams, landed),
        *stale_findings(streams, settings.doctor.stale),
        *_as_far(audit_findings(store)),
        *_as_far(ledger_findings(settings, store)),
        *_as_far(promise_findings(store)),
    ]
    notices = tuple(_notices(store, moment))
    return Health(streams, behind, _explained(store, findings), notices, silent)


def _explained(store: TableStore, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    said = words.newest(store, words.OF_FINDINGS, clock.now())
    return tuple(
        replace(each, word=said[each.id])
        if each.lasts and each.word is None and each.id in said
        else each
        for each in findings
    )


def _as_far(found: Iterator[Finding]) -> Iterator[Finding]:
    """Take what can be found out; what cannot be looked at is a finding itself."""
    try:
        yield from found
    except DependencyUnavailableError as broken:
        yield refused(broken)


def waive(
    ids: Sequence[str], word: words.Word, settings: Settings | None = None
) -> tuple[Finding, ...]:
    """Explain findings by name and reason; they are listed on, and not red."""
    settings = settings or read_settings()
    there = examine(settings).unexplained
    named = {found.id: found for each in ids for found in [_named(each, there)]}
    told = [(name, words.WAIVED) for each in named.values() for name in each.about or (each.id,)]
    words.tell(wiring.store(settings), words.OF_FINDINGS, told, word)
    return tuple(named.values())


def _named(prefix: str, there: Sequence[Finding]) -> Finding:
    """Find what an id, or the beginning of one, names; what is not for explaining is refused."""
    found = [each for each in there if prefix and each.id.startswith(prefix)]
    if len({each.id for each in found}) != 1:
        raise ConfigurationError(
            f"The doctor finds {len(found) or 'nothing'} unexplained by the id {prefix!r}.",
            cure="take a whole id from `nplusx doctor`.",
        )
    if not found[0].lasts:
        raise ConfigurationError(f"This is not for explaining: {found[0].what}", cure=found[0].cure)
    return found[0]


def _equations(streams: Iterable[StreamHealth]) -> Iterator[Finding]:
    for each in streams:
        if not each.is_balanced:
            yield Finding(
                f"{each.stream}: {each.produced} rows were produced, {each.landed} landed,"
                f" {each.quarantined} quarantined, {each.repeats} repeats: they do not add up.",
                "find out who changed the tables; restore the lake from a backup.",
            )


def _notices(store: TableStore, at: attempts.Moment) -> Iterator[str]:
    # What cannot be opened is a finding.
    with suppress(DependencyUnavailableError):
        yield from keep.notices(store)
    for contract in all_contracts().values():
        if contract.table in at.handles:
            commits = at.handles[contract.table].commits()
            yield from added_notices(contract.id, commits)
            yield from drift.notices(contract, commits)


def _gaps(store: TableStore, at: attempts.Moment) -> Iterator[Finding]:
    for contract in all_contracts().values():
        if contract.table in at.handles:
            yield from gap_findings(contract.id, at.handles[contract.table].commits())
    for topic, handle in keep.kept_topics(store):
        yield from gap_findings(contract_of(topic), handle.commits())


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
    for row in attempts.quarantined(store, _REFUSED, at).to_pylist():
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

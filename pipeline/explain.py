"""Explain: the walk from a claim's yuan down to Kafka offsets and the agent that signed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from contracts.loader import all_contracts
from kernel import canonical
from kernel.errors import ChecksFailedError, ConfigurationError
from pipeline import wiring
from pipeline.assess import decisions
from pipeline.dossier import Place
from pipeline.seal import Row, landing_of, pack_path
from pipeline.settings import Settings, read_settings
from registry.certificates import ConnectorCertificate
from warehouse import attempts, ledger
from warehouse.landing import RECORD_SCHEMA
from warehouse.store import TableStore

_NAMED = pa.schema(
    [
        RECORD_SCHEMA.field(name)
        for name in (
            "topic", "partition", "offset", "broker_at", "stream", "epoch", "sequence", "digest",
            "key_id",
        )
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the walk, with the steps below it."""

    text: str
    below: tuple["Step", ...] = field(default=())

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Write the walk as indented lines."""
        yield "  " * depth + self.text
        for step in self.below:
            yield from step.lines(depth + 1)


def explain(claim: str, settings: Settings | None = None) -> Step:
    """Resolve every link of a claim's decision; a broken link is an error, not a blank."""
    settings = settings or read_settings()
    store = wiring.store(settings)
    known = {str(row["claim_id"]): row for row in decisions(store)}
    if claim not in known:
        raise ConfigurationError(
            f"There is no decision on {claim!r}.",
            where=settings.lake_uri,
            cure=f"use one of {', '.join(sorted(known))}."
            if known
            else "run land, refine and assess first: nothing is decided yet.",
        )
    row = known[claim]
    decision = canonical.loads(_bytes(row["decision"]))
    if not isinstance(decision, dict):
        raise ChecksFailedError("The decision is not readable.", where=claim)
    certificates = wiring.certificates(settings)
    trail = _Trail(store, landing_of(row), _origins(decision), certificates)
    return Step(
        f"{claim}: {decision['outcome']}, {decision['amount_cny']} yuan, decided on"
        f" {decision['decided_on']}",
        (
            _ruling(decision),
            *(_verdict(trail, each) for each in decision["verdicts"]),
            *(_line(trail, line) for line in decision["lines"]),
            _sealed(settings, store, row),
        ),
    )


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _ruling(decision: Mapping[str, object]) -> Step:
    """Show clause, facts and parameters in the order in which they were read."""
    ruling = decision.get("ruling")
    if not isinstance(ruling, dict):
        return Step("no clause was applied")
    trace = ruling.get("trace", [])
    steps = tuple(Step(" ".join(f"{k}={v}" for k, v in each.items() if v)) for each in trace)
    return Step(f"clause {ruling['clause']} {ruling['article']} ({ruling['target']})", steps)


def _origins(decision: Mapping[str, object]) -> set[str]:
    """List every row that the decision names: of the claim as a whole and of its lines."""
    named: set[str] = set()
    for part, rows in (("verdicts", "origins"), ("lines", "evidence")):
        listed = decision[part]
        for each in listed if isinstance(listed, list) else []:
            named.update(map(str, each[rows]))
    return named


def _verdict(trail: "_Trail", verdict: Mapping[str, object]) -> Step:
    """Show what was found of the claim as a whole: acceptance, listing, ceiling."""
    origins = verdict["origins"]
    return Step(
        f"claim {verdict['rule']}: {verdict['outcome']} {verdict['reason_zh']}",
        tuple(trail.of(str(origin)) for origin in (origins if isinstance(origins, list) else [])),
    )


def _line(trail: "_Trail", line: Mapping[str, object]) -> Step:
    verdicts = line["verdicts"] if isinstance(line["verdicts"], list) else []
    why = "; ".join(f"{each['rule']} {each['reason_zh']}" for each in verdicts)
    evidence = line["evidence"]
    origins = evidence if isinstance(evidence, list) else []
    return Step(
        f"line {line['line_no']}: {line['outcome']}, {line['allowed_cny']} of"
        f" {line['claimed_cny']} yuan{' · ' + why if why else ''}",
        tuple(trail.of(str(origin)) for origin in origins),
    )


def _sealed(settings: Settings, store: TableStore, row: Row) -> Step:
    for entry in ledger.entries(store):
        if entry["decision_digest"] == row["decision_digest"]:
            return Step(
                f"sealed as ledger entry {entry['number']}, root {entry['merkle_root']}",
                (Step(f"pack {pack_path(settings, row).name}, digest {entry['pack_digest']}"),),
            )
    return Step("not sealed yet")


class _Trail:
    """Follows a row's origin to its table version, commit, offsets, signed batch and agent."""

    def __init__(
        self,
        store: TableStore,
        versions: Mapping[str, int],
        origins: Iterable[str],
        certificates: tuple[ConnectorCertificate, ...],
    ) -> None:
        self._store = store
        self._versions = versions
        self._certificates = certificates
        names = {each.table: each.id for each in all_contracts().values()}
        places: dict[str, list[tuple[str, int, int]]] = {}
        for place in map(Place.of, origins):
            places.setdefault(names[place.table], []).append(place.record)
        self._records = {
            (each["topic"], each["partition"], each["offset"]): each
            for each in attempts.records_at(store, places, _NAMED).to_pylist()
        }

    def of(self, origin: str) -> Step:
        """Resolve one origin."""
        place = Place.of(origin)
        record = self._records.get(place.record)
        if record is None:
            raise ChecksFailedError("A row of the decision has no signed record.", where=origin)
        contract = next(each for each in all_contracts().values() if each.table == place.table)
        version = self._versions[place.table]
        landed_by = attempts.landed_by(self._store.open(place.table, version).commits())
        commit = landed_by(*place.record, place.row)
        if commit is None:
            raise ChecksFailedError("No commit landed a row of the decision.", where=origin)
        _, agent, source, _ = str(record["stream"]).split("/")
        signed = (
            f"signed by agent {agent} with key {record['key_id']}"
            if record["key_id"]
            else f"from agent {agent}, unsigned (the enterprise may send so)"
        )
        return Step(
            f"{place.table} row {place.row}",
            (
                Step(f"table version {version}, landed in commit {commit.version}"),
                Step(f"topic {place.topic} partition {place.partition} offset {place.offset}"),
                Step(f"contract {contract.id} {commit.facts['contract_version']}"),
                Step(
                    f"batch {str(record['digest'])[:16]}, sequence {record['sequence']} of epoch"
                    f" {record['epoch']}, {signed}"
                ),
                Step(self._certified((agent, source, contract.id), record["broker_at"])),
            ),
        )

    def _certified(self, stream: tuple[str, str, str], sent_at: datetime) -> str:
        """Name the certificate under which a source was read, or flag that there is none."""
        found = [each for each in self._certificates if each.covers(*stream)]
        if not found:
            agent, source, contract = stream
            return (
                f"NOT CERTIFIED: the county has no certificate of source {source} of agent"
                f" {agent} for {contract}"
            )
        # The last one before the row was sent; else the first one that came after.
        last = next((each for each in reversed(found) if each.certified_at <= sent_at), None)
        shown = last or found[0]
        return (
            f"source {shown.source} read by preset {shown.preset} under certificate"
            f" {shown.digest[:16]} of {shown.certified_at:%Y-%m-%d}"
            + ("" if last else ", AFTER this record was sent")
            + (f", without {'; '.join(shown.skipped)}" if shown.skipped else "")
        )

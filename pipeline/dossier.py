"""From mart rows to the frozen dossier that policy judges; the same for a table and for a pack."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from contracts.loader import all_contracts
from kernel.errors import ChecksFailedError
from policy.verification.dossier import (
    Acceptance,
    ClaimLine,
    Dossier,
    InvoiceLine,
    LedgerEntry,
    Listing,
    Payment,
    Project,
)
from warehouse.tables import Engine, Source, core_tables, mart_tables, needed_for

# What a dossier is made of: one mart table for each kind of fact.
MARTS = (
    "mart__claim_project",
    "mart__claim_line",
    "mart__claim_invoice",
    "mart__claim_payment",
    "mart__claim_ledger",
    "mart__claim_acceptance",
    "mart__claim_listing",
)
Marts = Mapping[str, pa.Table]
Fact = TypeVar("Fact", Acceptance, ClaimLine, InvoiceLine, LedgerEntry, Listing, Payment, Project)


def marts(engine: Engine, landing: Mapping[str, Source]) -> Marts:
    """Compute the dossier's marts from landing rows alone, as a pack's reader must."""
    made: dict[str, pa.Table] = {}
    for table in needed_for(MARTS, [*core_tables(), *mart_tables()]):
        reads = {name: made[name] if name in made else landing[name] for name in table.reads}
        made[table.name] = engine.run(table.query, reads)
    return {name: made[name] for name in MARTS}


@cache
def contracts() -> frozenset[str]:
    """Name the contracts whose rows a decision reads."""
    tables = needed_for(MARTS, [*core_tables(), *mart_tables()])
    read = {name for table in tables for name in table.reads}
    return frozenset(each.id for each in all_contracts().values() if each.table in read)


def claims(marts: Marts) -> tuple[str, ...]:
    """List the claims that can be judged: those whose project's acceptance is known."""
    accepted = set(marts["mart__claim_acceptance"]["claim_id"].to_pylist())
    filed = set(marts["mart__claim_project"]["claim_id"].to_pylist())
    return tuple(sorted(accepted & filed))


def build(claim: str, marts: Marts) -> Dossier:
    """Freeze everything that the tables know about a claim."""

    def facts(table: str, kind: type[Fact]) -> tuple[Fact, ...]:
        rows = marts[table]
        return _read(rows.filter(pc.equal(rows["claim_id"], claim)), kind)

    projects = facts("mart__claim_project", Project)
    if len(projects) != 1:
        raise ChecksFailedError(
            f"The claim {claim} names {len(projects)} projects; it must name one.",
            where="mart__claim_project",
            cure="correct that claim's lines in the registry; the agent sends them anew.",
        )
    acceptances = facts("mart__claim_acceptance", Acceptance)
    lines = facts("mart__claim_line", ClaimLine)
    return Dossier(
        claim_id=claim,
        project=projects[0],
        lines=lines,
        invoices=facts("mart__claim_invoice", InvoiceLine),
        payments=facts("mart__claim_payment", Payment),
        ledger=facts("mart__claim_ledger", LedgerEntry),
        acceptance=acceptances[0] if acceptances else None,
        listings=facts("mart__claim_listing", Listing),
        other_uses=_other_uses(claim, lines, marts["mart__claim_line"]),
    )


def _other_uses(claim: str, lines: tuple[ClaimLine, ...], rows: pa.Table) -> tuple[ClaimLine, ...]:
    """Find the lines of other claims that name an invoice of this one."""
    named = pa.array(sorted({line.invoice_no for line in lines}), pa.string())
    shared = pc.and_(
        pc.is_in(rows["invoice_no"], value_set=named), pc.not_equal(rows["claim_id"], claim)
    )
    return _read(rows.filter(shared), ClaimLine)


def _read(rows: pa.Table, kind: type[Fact]) -> tuple[Fact, ...]:
    """Make one frozen fact of each row; columns bear the names of its fields."""
    names = [field.name for field in fields(kind)]
    return tuple(kind(**{name: row[name] for name in names}) for row in rows.to_pylist())


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: in a landing table, and in a record on the bus."""

    table: str
    topic: str
    partition: int
    offset: int
    row: int

    @classmethod
    def of(cls, origin: str) -> "Place":
        """Read an origin, `table@topic/partition/offset/row`."""
        table, _, place = origin.partition("@")
        topic, part, offset, row = place.rsplit("/", 3)
        return cls(table, topic, int(part), int(offset), int(row))

    @property
    def record(self) -> tuple[str, int, int]:
        """Name the record."""
        return self.topic, self.partition, self.offset


def places(dossier: Dossier) -> tuple[Place, ...]:
    """List where the rows behind the facts stand."""
    origins: set[str] = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(origin := value.get("origin"), str):
                origins.add(origin)
            for each in value.values():
                walk(each)
        elif isinstance(value, tuple):
            for each in value:
                walk(each)

    walk(asdict(dossier))
    return tuple(Place.of(origin) for origin in sorted(origins))

"""From mart rows to the frozen dossier that policy judges; the same for a table and for a pack."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

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
from warehouse.tables import Engine, core_tables, mart_tables, needed_for

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


def marts(engine: Engine, landing: Mapping[str, pa.Table]) -> Marts:
    """Compute the dossier's marts from landing rows alone, as a pack's reader must."""
    tables: dict[str, pa.Table] = dict(landing)
    for table in needed_for(MARTS, [*core_tables(), *mart_tables()]):
        tables[table.name] = engine.run(table.query, {name: tables[name] for name in table.reads})
    return {name: tables[name] for name in MARTS}


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
            cure="correct the claim in the registry.",
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

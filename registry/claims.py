"""The claimed dossier: what was filed, claimed and accepted, and who is listed."""

from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

from sqlalchemy import select

from registry.database import Registry
from registry.models import AcceptanceRow, Base, ClaimLineRow, ListingRow, ProjectRow


@dataclass(frozen=True, slots=True)
class Project:
    """A retrofit as the county filed it."""

    project_id: str
    enterprise_uscc: str
    programme: str
    title: str
    batch: str
    filed_on: date
    contract_signed_on: date
    finished_on: date | None
    granted_before_cny: Decimal
    other_awards_cny: Decimal


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """A line of spending as claimed."""

    claim_id: str
    line_no: int
    project_id: str
    invoice_no: str
    invoice_line_no: int
    issued_on: date
    seller_uscc: str
    buyer_uscc: str
    item_text: str
    category: str
    net_cny: Decimal
    tax_cny: Decimal


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The outcome of acceptance."""

    project_id: str
    accepted_on: date
    outcome: str
    reviewer: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A year's row of an enterprise in the 规上 list."""

    enterprise_uscc: str
    list_year: int
    name: str
    region_code: str
    industry_code: str
    is_above_scale: bool


Fact = TypeVar("Fact", Project, ClaimLine, Acceptance, Listing)


def save_project(registry: Registry, project: Project, updated_at: datetime) -> None:
    """File a project, or correct it."""
    registry.save(ProjectRow, {**asdict(project), "updated_at": updated_at})


def save_claim_line(registry: Registry, line: ClaimLine, updated_at: datetime) -> None:
    """Enter a line of a claim, or correct it."""
    registry.save(ClaimLineRow, {**asdict(line), "updated_at": updated_at})


def save_acceptance(registry: Registry, acceptance: Acceptance, updated_at: datetime) -> None:
    """Enter the outcome of acceptance, or correct it."""
    registry.save(AcceptanceRow, {**asdict(acceptance), "updated_at": updated_at})


def save_listing(registry: Registry, listing: Listing, updated_at: datetime) -> None:
    """Enter a row of the 规上 list, or correct it."""
    registry.save(ListingRow, {**asdict(listing), "updated_at": updated_at})


def projects(registry: Registry) -> tuple[Project, ...]:
    """List the projects."""
    return _all(registry, ProjectRow, Project)


def claim_lines(registry: Registry) -> tuple[ClaimLine, ...]:
    """List the lines of all claims, by claim and number."""
    return _all(registry, ClaimLineRow, ClaimLine)


def acceptances(registry: Registry) -> tuple[Acceptance, ...]:
    """List the outcomes of acceptance."""
    return _all(registry, AcceptanceRow, Acceptance)


def listings(registry: Registry) -> tuple[Listing, ...]:
    """List the rows of the 规上 list."""
    return _all(registry, ListingRow, Listing)


def _all(registry: Registry, kind: type[Base], fact: type[Fact]) -> tuple[Fact, ...]:
    names = [field.name for field in fields(fact)]
    with registry.reading() as session:
        rows = session.scalars(select(kind).order_by(*kind.__table__.primary_key))
        return tuple(fact(**{name: getattr(row, name) for name in names}) for row in rows)

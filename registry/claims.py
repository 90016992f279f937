"""The claimed dossier: what was filed, claimed and accepted, and who is listed."""

from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from sqlalchemy import select

from kernel import yaml
from kernel.errors import ConfigurationError
from registry.database import Registry
from registry.models import AcceptanceRow, Base, ClaimLineRow, ListingRow, ProjectRow

_STRICT = ConfigDict(extra="forbid")


@with_config(_STRICT)
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


@with_config(_STRICT)
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


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Acceptance:
    """The outcome of acceptance."""

    project_id: str
    accepted_on: date
    outcome: str
    reviewer: str


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Listing:
    """A year's row of an enterprise in the 规上 list."""

    enterprise_uscc: str
    list_year: int
    name: str
    region_code: str
    industry_code: str
    is_above_scale: bool


Fact = Project | ClaimLine | Acceptance | Listing
AnyFact = TypeVar("AnyFact", Project, ClaimLine, Acceptance, Listing)
_ROWS: dict[type[Fact], type[Base]] = {
    Project: ProjectRow,
    ClaimLine: ClaimLineRow,
    Acceptance: AcceptanceRow,
    Listing: ListingRow,
}


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Dossier:
    """What a county enters together."""

    listings: tuple[Listing, ...] = ()
    projects: tuple[Project, ...] = ()
    claim_lines: tuple[ClaimLine, ...] = ()
    acceptances: tuple[Acceptance, ...] = ()

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Give all of it, acceptance last: a claim is judged from then on."""
        return (*self.listings, *self.projects, *self.claim_lines, *self.acceptances)


def read_dossier(path: Path) -> Dossier:
    """Read a dossier from its YAML file, or say which field of which entry is wrong."""
    try:
        return TypeAdapter(Dossier).validate_python(yaml.load_mapping(path))
    except ValidationError as wrong:
        first = wrong.errors()[0]
        raise ConfigurationError(
            f"{first['msg']}.",
            where=f"{path}, {'.'.join(str(part) for part in first['loc'])}",
            cure="correct it; keys and fields are those of `registry/claims.py`, codes and amounts "
            "stand in quotes.",
        ) from wrong


def save(registry: Registry, fact: Fact, updated_at: datetime) -> None:
    """Enter a fact, or correct it."""
    registry.save(_ROWS[type(fact)], {**asdict(fact), "updated_at": updated_at})


def save_dossier(registry: Registry, dossier: Dossier, updated_at: datetime) -> int:
    """Enter what is new or corrected and count it; what stands already is not sent again."""
    lists = (projects(registry), claim_lines(registry), acceptances(registry), listings(registry))
    known: set[Fact] = {fact for each in lists for fact in each}
    fresh = [fact for fact in dossier.facts if fact not in known]
    for fact in fresh:
        save(registry, fact, updated_at)
    return len(fresh)


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


def _all(registry: Registry, kind: type[Base], fact: type[AnyFact]) -> tuple[AnyFact, ...]:
    names = [field.name for field in fields(fact)]
    with registry.reading() as session:
        rows = session.scalars(select(kind).order_by(*kind.__table__.primary_key))
        return tuple(fact(**{name: getattr(row, name) for name in names}) for row in rows)

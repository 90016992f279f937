"""The tables of the registry; those of claims hold the columns that their contracts name."""

from datetime import UTC, date, datetime
from decimal import Decimal

from sqlalchemy import (
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    LargeBinary,
    Numeric,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine
from typing_extensions import override

from kernel.errors import ConfigurationError
from kernel.money import round_fen

USCC, NAME, ID = 18, 200, 64
_LARGEST = Decimal(10**16)


class Money(TypeDecorator[Decimal]):
    """Yuan to the fen: a decimal on PostgreSQL, its text on SQLite, whose decimals are floats."""

    impl = Numeric(18, 2)
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str] | TypeEngine[Decimal]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(20))
        return dialect.type_descriptor(Numeric(18, 2))

    @override
    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> object:
        if value is None:
            return None
        if not value.is_finite() or abs(value) >= _LARGEST or value != round_fen(value):
            raise ConfigurationError(
                f"{value} is no amount in yuan and fen.", cure="round it to two digits."
            )
        exact = round_fen(value)
        return format(exact, "f") if dialect.name == "sqlite" else exact

    @override
    def process_result_value(self, value: object, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(str(value))


class Instant(TypeDecorator[datetime]):
    """An instant in UTC; SQLite keeps it without a zone, in text that sorts."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ConfigurationError(
                f"{value} has no time zone.", cure="take instants from kernel.clock."
            )
        return value.astimezone(UTC)

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables of the registry."""


class EnterpriseRow(Base):
    """A legal person: a factory, or an authority that publishes."""

    __tablename__ = "enterprise"

    uscc: Mapped[str] = mapped_column(String(USCC), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME))
    kind: Mapped[str] = mapped_column(String(16))
    region_code: Mapped[str] = mapped_column(String(6))
    industry_code: Mapped[str] = mapped_column(String(5))
    accepts_unsigned: Mapped[bool]


class AgentRow(Base):
    """One installation of ours at an enterprise."""

    __tablename__ = "agent"

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    enterprise_uscc: Mapped[str] = mapped_column(ForeignKey("enterprise.uscc"))


class AgentKeyRow(Base):
    """A key with which an agent signs, with the span in which it counts."""

    __tablename__ = "agent_key"

    key_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    agent_id: Mapped[str] = mapped_column(ForeignKey("agent.id"))
    public_key: Mapped[str] = mapped_column(String(44))
    valid_from: Mapped[datetime] = mapped_column(Instant)
    valid_to: Mapped[datetime | None] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


class ConnectorCertificateRow(Base):
    """What an agent's reading of a source passed, as it was signed."""

    __tablename__ = "connector_certificate"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(ForeignKey("agent.id"))
    source: Mapped[str] = mapped_column(String(ID))
    preset: Mapped[str] = mapped_column(String(NAME))
    contracts: Mapped[str] = mapped_column(Text)
    skipped: Mapped[str] = mapped_column(Text)
    certified_at: Mapped[datetime] = mapped_column(Instant)
    registered_at: Mapped[datetime] = mapped_column(Instant)
    statement: Mapped[bytes] = mapped_column(LargeBinary)


class UserRow(Base):
    """Who may log in, as what."""

    __tablename__ = "user"

    username: Mapped[str] = mapped_column(String(ID), primary_key=True)
    password_hash: Mapped[str] = mapped_column(String(NAME))
    role: Mapped[str] = mapped_column(String(16))
    enterprise_uscc: Mapped[str | None] = mapped_column(ForeignKey("enterprise.uscc"))


class ListingRow(Base):
    """`gov.enterprise.v1`: the 规上 list."""

    __tablename__ = "scale_listing"

    enterprise_uscc: Mapped[str] = mapped_column(String(USCC), primary_key=True)
    list_year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(NAME))
    region_code: Mapped[str] = mapped_column(String(6))
    industry_code: Mapped[str] = mapped_column(String(5))
    is_above_scale: Mapped[bool]
    updated_at: Mapped[datetime] = mapped_column(Instant)


class ProjectRow(Base):
    """`retrofit.project.v1`."""

    __tablename__ = "retrofit_project"

    project_id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    enterprise_uscc: Mapped[str] = mapped_column(ForeignKey("enterprise.uscc"))
    programme: Mapped[str] = mapped_column(String(ID))
    title: Mapped[str] = mapped_column(String(NAME))
    batch: Mapped[str] = mapped_column(String(16))
    filed_on: Mapped[date] = mapped_column(Date)
    contract_signed_on: Mapped[date] = mapped_column(Date)
    finished_on: Mapped[date | None] = mapped_column(Date)
    granted_before_cny: Mapped[Decimal] = mapped_column(Money)
    other_awards_cny: Mapped[Decimal] = mapped_column(Money)
    updated_at: Mapped[datetime] = mapped_column(Instant)


class ClaimLineRow(Base):
    """`retrofit.invoice_line.v1`."""

    __tablename__ = "claim_line"

    claim_id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    line_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[str] = mapped_column(ForeignKey("retrofit_project.project_id"))
    invoice_no: Mapped[str] = mapped_column(String(20))
    invoice_line_no: Mapped[int]
    issued_on: Mapped[date] = mapped_column(Date)
    seller_uscc: Mapped[str] = mapped_column(String(USCC))
    buyer_uscc: Mapped[str] = mapped_column(String(USCC))
    item_text: Mapped[str] = mapped_column(String(NAME))
    category: Mapped[str] = mapped_column(String(32))
    net_cny: Mapped[Decimal] = mapped_column(Money)
    tax_cny: Mapped[Decimal] = mapped_column(Money)
    updated_at: Mapped[datetime] = mapped_column(Instant)


class AcceptanceRow(Base):
    """`retrofit.acceptance.v1`."""

    __tablename__ = "acceptance"

    project_id: Mapped[str] = mapped_column(
        ForeignKey("retrofit_project.project_id"), primary_key=True
    )
    accepted_on: Mapped[date] = mapped_column(Date)
    outcome: Mapped[str] = mapped_column(String(16))
    reviewer: Mapped[str] = mapped_column(String(NAME))
    updated_at: Mapped[datetime] = mapped_column(Instant)

"""What a contract is once read: plain values from which everything else is derived."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from kernel.ids import ContractId

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LogicalType(StrEnum):
    """The kinds of value a column may hold."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


class Severity(StrEnum):
    """What follows from a broken promise: the row is refused, or lands with a note."""

    ERROR = "error"
    WARNING = "warning"


class Publisher(StrEnum):
    """Who may publish a contract: a factory its own rows, an authority what it keeps."""

    FACTORY = "factory"
    AUTHORITY = "authority"


@dataclass(frozen=True, slots=True)
class Title:
    """A title in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class EnumValue:
    """An allowed value and its Chinese label."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The edges of a column's values; texts, to be read in the column's own type."""

    minimum: str | None = None
    maximum: str | None = None
    exclusive_minimum: str | None = None
    exclusive_maximum: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None

    @property
    def edges(self) -> tuple[str | None, ...]:
        """List the edges of numbers and times."""
        return self.minimum, self.maximum, self.exclusive_minimum, self.exclusive_maximum


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: a column of another contract, within one enterprise and source."""

    contract: ContractId
    column: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Promises of a column that are of one severity."""

    severity: Severity
    required: bool = False
    limits: Limits = Limits()
    enum: tuple[EnumValue, ...] = ()
    format: str | None = None
    # Another column of the row: the value is not before that one's.
    not_before: str | None = None


@dataclass(frozen=True, slots=True)
class Property:
    """One column and everything promised of it."""

    name: str
    title: Title
    type: LogicalType
    physical: str
    required: bool
    key_position: int | None
    classification: str
    limits: Limits
    enum: tuple[EnumValue, ...] = ()
    format: str | None = None
    unit: str | None = None
    reference: Reference | None = None
    examples: tuple[str, ...] = ()
    quality: tuple[Rule, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """List what is promised: what makes the column what it is first, of severity error."""
        own = Rule(Severity.ERROR, self.required, self.limits, self.enum, self.format)
        return (own, *self.quality)

    def place(self, edge: str) -> Decimal:
        """Tell where an edge stands among the values: days and instants are counted."""
        if self.type is LogicalType.DATE:
            return Decimal(date.fromisoformat(edge).toordinal())
        if self.type is LogicalType.TIMESTAMP:
            return Decimal(microseconds(datetime.fromisoformat(edge)))
        return Decimal(edge)


def microseconds(at: datetime) -> int:
    """Count from 1970 to an instant."""
    return (at - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Contract:
    """One entity's promises, at one version."""

    id: ContractId
    version: str
    title: Title
    purpose: str
    publisher: Publisher
    properties: tuple[Property, ...]
    digest: str
    text: str
    # What each source owes: rows at least so often while it sends anything, and at least so many.
    frequency: timedelta | None = None
    least_rows: int | None = None

    @property
    def table(self) -> str:
        """Name the landing table."""
        return "landing__" + self.id.replace(".", "_")

    @property
    def key(self) -> tuple[str, ...]:
        """Name the key columns, in their order."""
        keyed = [each for each in self.properties if each.key_position is not None]
        return tuple(each.name for each in sorted(keyed, key=lambda each: each.key_position or 0))

    def column(self, name: str) -> Property:
        """Find a column that is known to exist."""
        return next(each for each in self.properties if each.name == name)

"""The words in which clauses and rules are written; what they read is noted as it is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from kernel import money
from kernel.errors import ConfigurationError
from kernel.ids import ClauseId
from kernel.span import Span
from policy.parameters import Parameters, Status

Facts = Mapping[str, bool | Decimal]


@dataclass(frozen=True, slots=True)
class Read:
    """One fact or parameter as it was read: a step of the trace."""

    kind: str
    name: str
    value: str
    unit: str
    reference: str
    status: str


@dataclass(slots=True)
class Case:
    """Facts, and parameters as of a day; `assumed` holds other readings of parameters."""

    facts: Facts
    parameters: Parameters
    day: date
    assumed: Mapping[str, str] = field(default_factory=dict)
    _reads: dict[tuple[str, str], Read] = field(default_factory=dict)

    @property
    def trace(self) -> tuple[Read, ...]:
        """List what was read, in the order in which it was first read."""
        return tuple(self._reads.values())

    def holds(self, name: str) -> bool:
        """Read a fact that is true or false."""
        fact = self._fact(name)
        if not isinstance(fact, bool):
            raise _unlike(name, "true or false")
        self._note(Read("fact", name, "true" if fact else "false", "", "", ""))
        return fact

    def amount(self, name: str) -> Decimal:
        """Read a fact that is an amount."""
        fact = self._fact(name)
        if not isinstance(fact, Decimal):
            raise _unlike(name, "an amount")
        self._note(Read("fact", name, format(fact, "f"), "cny", "", ""))
        return fact

    def parameter(self, name: str) -> Decimal:
        """Read a number of the law."""
        return Decimal(self.choice(name))

    def date_of(self, name: str) -> date:
        """Read a day of the law."""
        return date.fromisoformat(self.choice(name))

    def names_in(self, name: str) -> tuple[str, ...]:
        """Read a list of the law."""
        return tuple(self.choice(name).split())

    def choice(self, name: str) -> str:
        """Read how the law is understood, as its text."""
        if name not in self.parameters:
            raise ConfigurationError(
                f"There is no parameter {name}.",
                cure="add it to the article's file under parameters/, with day and reference.",
            )
        value = self.parameters[name].value_on(self.day)
        text = self.assumed.get(name, value.text)
        self._note(Read("parameter", name, text, value.unit, value.reference, value.status))
        return text

    def round_fen(self, amount: Decimal) -> Decimal:
        """Round to the fen, halves away from zero."""
        return money.round_fen(amount)

    def _fact(self, name: str) -> bool | Decimal:
        if name not in self.facts:
            raise ConfigurationError(
                f"The fact {name} is not given.", cure="declare it in facts.yaml and supply it."
            )
        return self.facts[name]

    def _note(self, read: Read) -> None:
        self._reads.setdefault((read.kind, read.name), read)


def _unlike(name: str, kind: str) -> ConfigurationError:
    return ConfigurationError(f"The fact {name} is not {kind}.", cure="supply it in that form.")


@dataclass(frozen=True, slots=True)
class Clause:
    """A wording of an article: its words, its days and the function that says the same."""

    id: ClauseId
    target: str
    article: str
    text: str
    in_force: Span
    apply: Callable[[Case], Decimal]


@dataclass(frozen=True, slots=True)
class OtherReading:
    """What would have been paid had a provisional parameter been read otherwise."""

    value: str
    amount_cny: Decimal


@dataclass(frozen=True, slots=True)
class Provisional:
    """A parameter that a competent body has yet to confirm."""

    name: str
    value: str
    reference: str
    others: tuple[OtherReading, ...]


def provisional(
    case: Case, pays: Callable[[Mapping[str, str]], Decimal]
) -> tuple[Provisional, ...]:
    """List the unconfirmed parameters that a case read, and what each other reading pays."""
    return tuple(
        Provisional(
            read.name,
            read.value,
            read.reference,
            tuple(
                OtherReading(reading, pays({read.name: reading}))
                for reading in case.parameters[read.name].value_on(case.day).readings
            ),
        )
        for read in case.trace
        if read.status == Status.PROVISIONAL
    )

"""Finds the wording of a clause that holds on a day, applies it, and says why it paid so."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import cache
from pathlib import Path
from types import ModuleType

from kernel.errors import ConfigurationError
from kernel.ids import ClauseId
from kernel.registry import modules_in
from policy import programmes as programmes_package
from policy.lang import Case, Clause, Provisional, Read
from policy.parameters import Parameters, load

# Two amounts of eighteen digits multiply exactly, whatever the caller's own context.
EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a clause grants, in whose words, and everything that it read, in order."""

    value: Decimal
    clause: ClauseId
    target: str
    article: str
    text: str
    trace: tuple[Read, ...]
    provisional: tuple[Provisional, ...]


@dataclass(frozen=True, slots=True)
class Programme:
    """A policy as its folder holds it: wordings by clause, parameters by article."""

    name: str
    wordings: Mapping[str, tuple[Clause, ...]]
    articles: Mapping[str, Parameters]

    def clause_named(self, name: str) -> str:
        """Find the clause of this programme that grants or asks something, whatever its article."""
        found = [clause for clause in self.wordings if clause.partition("_")[2] == name]
        if len(found) != 1:
            raise ConfigurationError(
                f"The programme {self.name} has {len(found)} clauses named {name}.",
                cure=f"write one file clauses/a<article>_{name}.py.",
            )
        return found[0]

    def parameters_of(self, clause: str) -> Parameters:
        """Give the parameters of a clause's article."""
        return self.articles.get(clause.partition("_")[0], {})

    def wording_on(self, clause: str, day: date) -> Clause | None:
        """Give the wording of a clause that holds on a day, if the clause is in force then."""
        found = [wording for wording in self.wordings[clause] if day in wording.in_force]
        if len(found) > 1:
            raise ConfigurationError(
                f"{len(found)} wordings of {self.name}.{clause} hold on {day}.",
                cure="end the older wording's span on the day on which the newer one begins.",
            )
        return found[0] if found else None


@cache
def programmes() -> Mapping[str, Programme]:
    """Find the programmes: each folder with clauses is one."""
    return {
        name: _programme(name, module)
        for name, module in modules_in(programmes_package).items()
        if "clauses" in modules_in(module)
    }


def _programme(name: str, module: ModuleType) -> Programme:
    folder = Path(next(iter(module.__path__)))
    clauses = modules_in(modules_in(module)["clauses"])
    return Programme(
        name,
        {clause: found.WORDINGS for clause, found in clauses.items()},
        {path.stem: load(path) for path in sorted((folder / "parameters").glob("*.yaml"))},
    )


def apply(wording: Clause, case: Case) -> Decimal:
    """Compute what a wording grants, exactly."""
    with localcontext(EXACT):
        return wording.apply(case)


def ruling(
    wording: Clause, case: Case, value: Decimal, unconfirmed: tuple[Provisional, ...]
) -> Ruling:
    """Put a granted value beside its reasons."""
    return Ruling(
        value,
        wording.id,
        wording.target,
        wording.article,
        wording.text,
        case.trace,
        unconfirmed,
    )

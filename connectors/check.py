"""Tries every stream of a source: is it there, may it be read, does the mapping fit its rows?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connectors.base import Connector, StreamPlan
from connectors.mapping import map_rows
from kernel.errors import NplusxError

_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw at one stream; no problem means that it is readable."""

    subject: str
    columns: tuple[str, ...] = ()
    problem: str = ""
    cure: str = ""
    # What the source says that it is.
    product: str = ""


def check(
    connector: Connector[object], plans: Sequence[StreamPlan[object]], zone: str
) -> Iterator[Finding]:
    """Try streams one by one, without keeping anything."""
    said = ""
    for plan in plans:
        try:
            sample = connector.sample(plan)
            mapped = None if sample.rows is None else map_rows(sample.rows, plan, zone)
        except NplusxError as wrong:
            yield Finding(plan.contract, problem=wrong.what, cure=wrong.cure)
            continue
        columns = tuple(mapped.column_names) if mapped is not None else ()
        # Asked once, not for each stream.
        said = said or product_of(connector)
        yield Finding(plan.contract, columns, sample.problem, sample.cure, said)


def product_of(connector: Connector[object]) -> str:
    """Ask a source what it is; whatever it says is one line, and none if it will not say."""
    try:
        said = connector.product()
    except NplusxError:
        return ""
    line = "".join(each if each.isprintable() else " " for each in said)
    return " ".join(line.split())[:_LONGEST]

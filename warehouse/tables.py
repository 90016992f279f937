"""A SQL file as a table: its header, its query, its place in the order."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from string import Template
from typing import Protocol, TypeAlias

import pyarrow as pa
import pyarrow.dataset as ds

from contracts.loader import all_contracts
from contracts.model import Contract, Title
from kernel import canonical, yaml
from kernel.errors import ConfigurationError
from kernel.registry import files_in

FOLDER = Path(__file__).parent
_HEADER = re.compile(r"\A/\*---\n(?P<header>.*?)---\*/\n(?P<query>.*)\Z", re.DOTALL)
_CURRENT_STATE = FOLDER / "core" / "current_state.sql"
Source: TypeAlias = ds.Dataset | pa.Table


class Engine(Protocol):
    """Who runs SQL over tables given by name."""

    def run(self, sql: str, inputs: Mapping[str, Source]) -> pa.Table:
        """Run one select."""
        ...


@dataclass(frozen=True, slots=True)
class SqlTable:
    """One table that is computed from others."""

    name: str
    title: Title
    grain: str
    keys: tuple[str, ...]
    reads: tuple[str, ...]
    query: str
    unit: str = ""
    metric_class: str = ""
    formula: str = ""
    reference: str = ""
    subject_kind: str = ""

    @property
    def digest(self) -> str:
        """Name the query by its text."""
        return canonical.digest(self.query.encode())


def core_of(contract: Contract) -> SqlTable:
    """Derive the table of a contract's current state."""
    name = "core__" + contract.id.rsplit(".", 1)[0].replace(".", "_")
    query = current_state(contract, [each.name for each in contract.properties])
    keys = ("_enterprise", "_source", *contract.key)
    return SqlTable(name, contract.title, "current state", keys, (contract.table,), query)


def current_state(contract: Contract, columns: Sequence[str]) -> str:
    """Write the query of a contract's current state, with some of its columns."""
    # Within an epoch the sender's numbers tell the order, between epochs the broker's clock.
    newest = [
        "_begun desc", "_epoch desc", "_sequence desc nulls last", "_broker_at desc",
        "_topic desc", "_partition desc", "_offset desc", "_row desc",
    ]  # fmt: skip
    if "updated_at" in columns:
        # A delete need not carry the source's version: then its arrival is its place in time.
        newest.insert(0, "coalesce(updated_at, greatest(_broker_at, _known)) desc")
    lineage = ["_enterprise", "_source", "_stream", "_broker_at"]
    keys = ("_enterprise", "_source", *contract.key)
    return Template(_CURRENT_STATE.read_text(encoding="utf-8")).substitute(
        columns=", ".join([*columns, *lineage]),
        table=contract.table,
        key=", ".join(keys),
        newest=", ".join(newest),
        version="updated_at" if "updated_at" in columns else "_broker_at",
    )


def _title(value: object) -> Title:
    if isinstance(value, dict):
        return Title(str(value.get("zh", "")), str(value.get("en", "")))
    return Title("", "")


def _part(header: Mapping[object, object], key: str, part: str) -> str:
    value = header.get(key)
    return str(value.get(part, "")) if isinstance(value, dict) else ""


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def read_table(path: Path) -> SqlTable:
    """Read a SQL file with its header."""
    matched = _HEADER.match(path.read_text(encoding="utf-8"))
    if matched is None:
        raise ConfigurationError(
            "A SQL table begins with a header between /*--- and ---*/.",
            where=str(path.relative_to(FOLDER)),
            cure="copy the header of a table beside it.",
        )
    header = yaml.parse(matched["header"], str(path.relative_to(FOLDER)))
    if not isinstance(header, dict) or header.get("id") != path.name.split(".", 1)[0]:
        raise ConfigurationError(
            "The header's id must be the file's name.", where=str(path.relative_to(FOLDER))
        )
    layer = {"metrics": "metric", "mart": "mart"}[path.parent.name]
    return SqlTable(
        name=f"{layer}__{header['id']}",
        title=_title(header.get("title")),
        grain=str(header.get("grain", "")),
        keys=_names(header.get("keys")),
        reads=_names(header.get("reads")),
        query=matched["query"],
        unit=str(header.get("unit", "")),
        metric_class=str(header.get("class", "")),
        formula=_part(header, "formula", "text"),
        reference=_part(header, "formula", "reference"),
        subject_kind=str(header.get("subject_kind", "")),
    )


@cache
def core_tables() -> tuple[SqlTable, ...]:
    """List the current-state tables, one per contract."""
    return tuple(core_of(contract) for contract in all_contracts().values())


@cache
def mart_tables() -> tuple[SqlTable, ...]:
    """List the tables that a person or a clause reads."""
    return tuple(read_table(path) for path in files_in(FOLDER / "mart", "*.sql"))


@cache
def metric_tables() -> tuple[SqlTable, ...]:
    """List the metrics, one per file and class."""
    return tuple(read_table(path) for path in files_in(FOLDER / "metrics", "*.sql"))


def in_order(tables: Iterable[SqlTable]) -> tuple[SqlTable, ...]:
    """Put tables behind those that they read."""
    by_name = {each.name: each for each in tables}
    sorter = TopologicalSorter(
        {each.name: [read for read in each.reads if read in by_name] for each in by_name.values()}
    )
    return tuple(by_name[name] for name in sorter.static_order())


def needed_for(names: Iterable[str], tables: Iterable[SqlTable]) -> tuple[SqlTable, ...]:
    """List, in order, those of the tables on which the named ones rest, and these themselves."""
    by_name = {each.name: each for each in tables}
    wanted: dict[str, SqlTable] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in wanted:
            wanted[name] = by_name[name]
            waiting += by_name[name].reads
    return in_order(wanted.values())

"""What a tap prints: messages, line by line, and tables of texts made of records."""

import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa

from connectors.singer.catalog import Tree, tree
from kernel import canonical
from kernel.errors import DependencyUnavailableError
from kernel.log import logger

DELETED_AT = "_sdc_deleted_at"
# What a tap adds that is another at each reading.
_PASSING = "_sdc_"
_LARGEST = 1 << 63


@dataclass(frozen=True, slots=True)
class Record:
    """A row, and how long it was."""

    row: Tree
    size: int


@dataclass(frozen=True, slots=True)
class State:
    """What the tap wants to be told to go on behind all the rows before."""

    value: object


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of the rows that follow."""

    columns: tuple[str, ...]


Message = Record | State | Schema


def read(lines: Iterable[bytes], names: Container[object], where: str) -> Iterator[Message]:
    """Read the messages of one stream; what a tap prints besides is noted."""
    for line in lines:
        if line.lstrip().startswith(b"{"):
            try:
                said = tree(json.loads(line, parse_float=Decimal, parse_int=_whole))
            except (ValueError, RecursionError) as broken:
                raise DependencyUnavailableError(
                    f"The tap sent a line that is no message: {str(broken)[:200]}",
                    where=where,
                    cure="it is read again from the last state; if it stays so, see the tap's"
                    " issues.",
                ) from broken
            if (message := _message(said, line, names)) is not None:
                yield message
        elif line.strip():
            logger("singer").info("no message", line=line[:200].decode("utf-8", "replace"))


def _message(said: Tree, line: bytes, names: Container[object]) -> Message | None:
    match said.get("type"):
        case "RECORD" if said.get("stream") in names:
            return Record(tree(said.get("record")), len(line))
        case "SCHEMA" if said.get("stream") in names:
            return Schema(tuple(tree(tree(said.get("schema")).get("properties"))))
        case "STATE":
            # It goes back to the tap as it came, but for the stream at which a run of many
            # was: a tap that goes on there skips it, and gives nothing.
            told = tree(canonical.loads(line)).get("value")
            if isinstance(told, dict):
                told.pop("currently_syncing", None)
            return State(told)
        case _:
            return None


def table(rows: list[Tree], columns: Iterable[str]) -> pa.Table:
    """Make texts of records; a number keeps its digits, what is nested stays JSON."""
    names = set(columns).union(*rows)
    # In an order of ours: that of a tap may be another in each of its runs.
    made = {
        name: _column([row.get(name) for row in rows]) for name in sorted(names) if _counts(name)
    }
    gone = [row.get(DELETED_AT) is not None for row in rows]
    if any(gone):
        made["_op"] = pa.array(["delete" if each else None for each in gone], pa.string())
    return pa.table(made)


def _counts(name: str) -> bool:
    return name == DELETED_AT or not name.startswith(_PASSING)


def _column(values: list[object]) -> pa.Array:
    texts = [_text(each) for each in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        # Half of a pair of surrogates.
        whole = [None if t is None else t.encode("utf-8", "replace").decode() for t in texts]
        return pa.array(whole, pa.string())


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return canonical.dumps(value).decode()
    return str(value)


def _whole(digits: str) -> int | Decimal:
    number = int(digits)
    return number if -_LARGEST <= number < _LARGEST else Decimal(digits)

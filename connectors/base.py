"""What any source offers: pages of rows in contract columns, each with the cursor behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

from connectors.fields import Fields
from kernel.ids import ContractId, SourceId

ZONE = "Asia/Shanghai"
# What only one kind of connector knows: how a stream is found, and how a source is reached.
How = TypeVar("How", covariant=True)
Way = TypeVar("Way", covariant=True)
Asked = TypeVar("Asked", contravariant=True)


@dataclass(frozen=True, slots=True)
class StreamPlan(Generic[How]):
    """How the rows of one contract are found in a product and turned into contract columns."""

    contract: ContractId
    version: str
    mapping: str
    how: How


@dataclass(frozen=True, slots=True)
class Preset:
    """What we know of a product: a stream for each contract that it can serve."""

    id: str
    title_zh: str
    title_en: str
    kind: str
    proof: str
    streams: tuple[StreamPlan[object], ...]


@dataclass(frozen=True, slots=True)
class Source(Generic[Way]):
    """One system to read, with what its preset does not know: where it is."""

    id: SourceId
    way: Way
    zone: str = ZONE


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in contract columns, if any are new, and where to read on."""

    rows: pa.Table | None
    cursor: str
    more: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw at one stream; no problem means that it is readable."""

    subject: str
    columns: tuple[str, ...] = ()
    problem: str = ""
    cure: str = ""


class Connector(Protocol[Asked]):
    """Reads one source; at least once, in the order of the source's own clock."""

    def read(self, plan: StreamPlan[Asked], cursor: str | None) -> Page:
        """Take the next page; no cursor means from the beginning."""
        ...

    def check(self, plans: Sequence[StreamPlan[Asked]]) -> tuple[Finding, ...]:
        """Try every stream without keeping anything."""
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...


class Kind(Protocol):
    """A module of the folder `kinds`: a protocol, and what files must say for it."""

    def stream_of(self, fields: Fields) -> object:
        """Read what a preset says of a stream besides its contract and its mapping."""
        ...

    def way_of(self, fields: Fields) -> object:
        """Read what an agent's file says of a source besides its name, preset and zone."""
        ...

    def open_source(self, source: Source[object]) -> Connector[object]:
        """Get ready to read a source; nothing is asked of it yet."""
        ...

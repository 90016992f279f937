"""What any source offers: pages of rows as it has them, each with the cursor behind it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

from connectors.fields import Fields
from kernel.errors import ConfigurationError
from kernel.ids import ContractId, SourceId
from kernel.skew import Clock

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
    preset: str
    way: Way
    zone: str = ZONE
    # Where a kind may keep what it remembers of the source, beside the outbox.
    memory: Path = field(default=Path("memory"))
    # Nobody keeps the cursors: what would wait at the source for the next one must not be made.
    is_trial: bool = False
    # Who reads beside the agent for a while, by names of its own; it takes away what it made.
    guest: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as the source has them, if any are new, and where to read on.

    A column `_op` tells upsert from delete; a source that never deletes leaves it out. Holes say in
    words what the source had and will never give, since when, until when.
    """

    rows: pa.Table | None
    cursor: str
    more: bool
    holes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A few rows of a stream, and what is amiss though it can be read."""

    rows: pa.Table | None
    problem: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """Something in the source's own catalogue: its columns by name and type, and how to read it.

    The last is what a preset's stream says besides contract, version and mapping.
    """

    name: str
    columns: Mapping[str, str]
    how: Mapping[str, object]


class NoCatalogueError(ConfigurationError):
    """This kind of source does not say what it offers."""


class Connector(Protocol[Asked]):
    """Reads one source; at least once, in the order of the source's own clock."""

    def read(self, plan: StreamPlan[Asked], cursor: str | None) -> Page:
        """Take the next page; no cursor means from the beginning.

        What led to a cursor is safe when it is given: the source may forget it.
        """
        ...

    def again(self, _plan: StreamPlan[Asked], /) -> str | None:
        """Give the cursor of a stream that is read from its beginning, though not the first time.

        What was made at the source for it is not another's.
        """
        return None

    def rest(self, _plan: StreamPlan[Asked], /) -> None:
        """Let go of what a pass holds at the source: nobody reads on for a while."""
        return

    def sample(self, plan: StreamPlan[Asked]) -> Sample:
        """Try a stream without keeping anything."""
        ...

    def discover(self) -> Iterator[Offer]:
        """List what the source's own catalogue offers."""
        ...

    @property
    def passing(self) -> str:
        """Say why what was read cannot be read again; nothing: the source keeps its rows."""
        return ""

    def leave(self, _plan: StreamPlan[Asked], /) -> None:
        """Take away what a guest made at the source."""
        return

    def clock(self) -> Clock | str:
        """Compare the source's clock with ours, or say why nobody can."""
        return "This kind of source does not tell the time."

    def product(self) -> str:
        """Tell what the source says that it is, with its release; nothing: it does not say."""
        return ""

    def close(self) -> None:
        """Let go of the source."""
        ...


class Kind(Protocol):
    """A module of the folder `kinds`: a protocol, and what files must say for it."""

    # What an agent's file says of a source besides its name and preset, to be written over.
    EXAMPLE: Mapping[str, object]

    def stream_of(self, fields: Fields) -> object:
        """Read what a preset says of a stream besides its contract and its mapping."""
        ...

    def way_of(self, fields: Fields) -> object:
        """Read what an agent's file says of a source besides its name, preset and zone."""
        ...

    def open_source(self, source: Source[object]) -> Connector[object]:
        """Get ready to read a source; nothing is asked of it yet."""
        ...

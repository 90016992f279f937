"""What any source offers: pages of rows in contract columns, each with the cursor behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from kernel.ids import ContractId, SourceId

PAGE_ROWS = 5000
LOOKBACK_SECONDS = 300
ZONE = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """How the rows of one contract are found in a product and turned into contract columns."""

    contract: ContractId
    version: str
    query: str
    updated: str
    keys: tuple[str, ...]
    mapping: str


@dataclass(frozen=True, slots=True)
class Preset:
    """What we know of a product: a stream for each contract that it can serve."""

    id: str
    title_zh: str
    title_en: str
    kind: str
    proof: str
    streams: tuple[StreamPlan, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """One system to read, with the address that its preset does not know."""

    id: SourceId
    url: str
    zone: str = ZONE
    page_rows: int = PAGE_ROWS
    lookback_seconds: int = LOOKBACK_SECONDS


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


class Connector(Protocol):
    """Reads one source; at least once, in the order of the source's own clock."""

    def read(self, plan: StreamPlan, cursor: str | None) -> Page:
        """Take the next page; no cursor means from the beginning."""
        ...

    def check(self, plans: Sequence[StreamPlan]) -> tuple[Finding, ...]:
        """Try every stream without keeping anything."""
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...

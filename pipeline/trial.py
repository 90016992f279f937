"""Tries a source before it goes live: what it offers, and what the gate says of its first rows."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from bus.outbox import Encoded
from connectors.base import Connector, Offer, Source, StreamPlan
from connectors.config import AgentConfig
from connectors.mapping import map_rows
from connectors.registry import find
from connectors.tables import quoted
from contracts import decode, gate
from contracts.loader import find as find_contract
from contracts.model import Contract, Property
from kernel import clock
from kernel.errors import ConfigurationError
from pipeline.bodies import encode
from pipeline.settings import environment
from pipeline.sources import connect, set_apart

_PATIENCE_SECONDS = 10
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Trial:
    """The first rows of a stream in contract columns, and why some would be refused."""

    rows: pa.Table | None
    # By row: codes.
    refused: dict[int, tuple[str, ...]]
    # Of a source that has no past: what of it can be seen.
    passing: str = ""


def source_of(config: AgentConfig, name: str) -> Source[object]:
    """Give a source of an agent; an agent with one needs no name."""
    found = [each for each in config.sources if name in ("", each.id)]
    if len(found) != 1:
        raise ConfigurationError(
            f"The agent has {'more than one source' if found else f'no source {name!r}'}.",
            where=str(config.path),
            cure=f"name one with --source: {', '.join(each.id for each in config.sources)}.",
        )
    return found[0]


def offers(config: AgentConfig, source: Source[object], like: str) -> Iterator[Offer]:
    """List what the source's catalogue offers, as far as names hold a text."""
    with closing(connect(config, source.id, environment())) as connector:
        for each in connector.discover():
            if like.lower() in each.name.lower():
                yield each


def draft(offer: Offer, contract: Contract) -> dict[str, object]:
    """Draft a preset's stream that fills a contract from an offer, as far as names tell."""
    alike = {_plain(name): name for name in offer.columns}
    lines = [_line(each, alike.get(_plain(each.name))) for each in contract.properties]
    mapping = "\n".join(["select", *lines, "  _op", "from rows"])
    return {
        "contract": str(contract.id),
        "version": contract.version,
        **offer.how,
        "mapping": mapping + "\n",
    }


def _line(column: Property, found: str | None) -> str:
    kind = _DUCK.get(column.physical, column.physical)
    if found:
        return f"  try_cast({quoted(found)} as {kind}) as {column.name},"
    need = "必填 required" if column.required else "可空 optional"
    return f"  cast(null as {kind}) as {column.name}, -- {column.title.zh} {need}"


_DUCK = {"string": "varchar", "int64": "bigint", "timestamp(us, UTC)": "timestamptz"}


def _plain(name: str) -> str:
    return "".join(each for each in name.lower() if each.isalnum())


def plan_of(source: Source[object], contract: str) -> StreamPlan[object]:
    """Give the stream of a source that serves a contract."""
    plans = find(source.preset).streams
    for each in plans:
        if each.contract == contract:
            return each
    raise ConfigurationError(
        f"The preset {source.preset} does not serve {contract}.",
        cure=f"use one of {', '.join(each.contract for each in plans)}.",
    )


def read(config: AgentConfig, source: Source[object], contract: str) -> Trial:
    """Read the first page of a stream and judge it; nothing is kept and nothing sent."""
    plan, promised = plan_of(source, contract), find_contract(contract)
    with (
        # The agent's own must stay as it is.
        TemporaryDirectory(prefix="nplusx-trial-") as folder,
        closing(connect(set_apart(config, Path(folder)), source.id, environment())) as connector,
    ):
        first = _first(connector, plan, source.zone)
        if first is None:
            return Trial(None, {}, connector.passing)
    decoded = decode.decode_arrow(first.body, promised)
    verdict = gate.judge(decoded.rows, promised, decoded.faults)
    refused = {row: tuple(each.code for each in why) for row, why in verdict.refused.items()}
    return Trial(decoded.rows, refused)


def _first(connector: Connector[object], plan: StreamPlan[object], zone: str) -> Encoded | None:
    """Give the first rows; what passes by is waited for."""
    deadline = clock.monotonic() + (_PATIENCE_SECONDS if connector.passing else 0)
    cursor = None
    while True:
        page = connector.read(plan, cursor)
        bodies = [] if page.rows is None else encode(map_rows(page.rows, plan, zone), plan.version)
        if bodies:
            return bodies[0]
        # Some kinds tell first how far they are.
        is_on_its_way = page.rows is None and page.more and page.cursor != cursor
        if not is_on_its_way:
            if clock.monotonic() >= deadline:
                return None
            clock.sleep(_LOOK_SECONDS)
        cursor = page.cursor

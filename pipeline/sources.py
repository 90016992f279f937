"""The sources of an agent: opened with their secrets, and checked against their contracts."""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import duckdb
import pyarrow as pa

from connectors import check, pseudonyms
from connectors.base import Connector, Source, StreamPlan
from connectors.check import Finding
from connectors.config import AgentConfig, load_agent
from connectors.mapping import map_rows
from connectors.registry import find, open_source
from contracts import loader as contracts
from kernel.errors import ConfigurationError
from kernel.ids import SourceId
from pipeline.settings import environment

# What libraries raise on values, files and wires that no kind foresaw.
UNFORESEEN = (
    ArithmeticError, AssertionError, AttributeError, BadZipFile, EOFError, LookupError, OSError,
    RecursionError, RuntimeError, SyntaxError, TypeError, ValueError, duckdb.Error,
    pa.ArrowException, struct.error, zlib.error,
)  # fmt: skip


def set_apart(config: AgentConfig, folder: Path, guest: str = "") -> AgentConfig:
    """Give a configuration under which nothing of the agent's own is touched.

    A guest reads with cursors, as the agent does; nobody else comes back with one.
    """
    sources = tuple(
        replace(each, memory=folder / "memory" / each.id, is_trial=not guest, guest=guest)
        for each in config.sources
    )
    return replace(config, outbox=folder / "outbox.sqlite", sources=sources)


def connect(config: AgentConfig, name: SourceId, variables: Mapping[str, str]) -> Connector[object]:
    """Get ready to read a source of an agent, with its secrets put in place."""
    return open_source(completed(config, name, variables))


def completed(config: AgentConfig, name: SourceId, variables: Mapping[str, str]) -> Source[object]:
    """Give a source of an agent as its file, and the files of its secrets, tell it now."""
    sources = {each.id: each for each in load_agent(config.path, variables).sources}
    mine = next((each for each in config.sources if each.id == name), None)
    if mine is None or name not in sources:
        raise ConfigurationError(
            f"The agent's file names no source {name} any more.",
            where=str(config.path),
            cure="start the agent again, so that it reads what the file names now.",
        )
    told = sources[name]
    return replace(told, memory=mine.memory, is_trial=mine.is_trial, guest=mine.guest)


def contract_rows(
    rows: pa.Table, source: Source[object], plan: StreamPlan[object], key: pseudonyms.Key | None
) -> pa.Table:
    """Give rows in contract columns, nobody's name in the clear."""
    told = contracts.find(plan.contract).properties
    personal = [each.name for each in told if each.classification == "personal"]
    mapped = map_rows(rows, plan, source.zone)
    # What the contract does not know nobody has classed: it stays at the factory.
    known = {*(each.name for each in told), "_op"}
    mapped = mapped.select([name for name in mapped.column_names if name in known])
    return pseudonyms.cover(mapped, personal, key)


def check_source(config: AgentConfig) -> tuple[Finding, ...]:
    """Try every stream of an agent's sources, and compare what it gives with its contract."""
    found: list[Finding] = []
    for source in config.sources:
        with closing(connect(config, source.id, environment())) as connector:
            found += check_streams(connector, find(source.preset).streams, source.zone)
    return tuple(found)


def check_streams(
    connector: Connector[object], plans: Sequence[StreamPlan[object]], zone: str
) -> Iterator[Finding]:
    """Try streams, and compare what they give with their contracts."""
    for each in check.check(connector, plans, zone):
        yield _compared(each)


def _compared(finding: Finding) -> Finding:
    """Add to what the source said what its contract misses."""
    if finding.problem or not finding.columns:
        return finding
    contract = contracts.find(finding.subject)
    required = {each.name for each in contract.properties if each.required}
    missing = sorted(required - set(finding.columns))
    if not missing:
        return finding
    return replace(
        finding,
        problem=f"The mapping gives no {', '.join(missing)}.",
        cure="add the columns to the preset's mapping.",
    )

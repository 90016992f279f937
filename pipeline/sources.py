"""The sources of an agent: opened with their secrets, and checked against their contracts."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from connectors import check
from connectors.base import Connector
from connectors.check import Finding
from connectors.config import AgentConfig, load_agent
from connectors.registry import find, open_source
from contracts import loader as contracts
from kernel.errors import ConfigurationError
from kernel.ids import SourceId
from pipeline.settings import environment


def connect(
    config: AgentConfig,
    name: SourceId,
    variables: Mapping[str, str],
    memory: Path | None = None,
) -> Connector[object]:
    """Get ready to read a source of an agent, with its secrets put in place."""
    sources = {each.id: each for each in load_agent(config.path, variables).sources}
    if name not in sources:
        raise ConfigurationError(
            f"The agent's file names no source {name} any more.",
            where=str(config.path),
            cure="start the agent again, so that it reads what the file names now.",
        )
    source = sources[name]
    return open_source(source if memory is None else replace(source, memory=memory, is_trial=True))


def check_source(config: AgentConfig) -> tuple[Finding, ...]:
    """Try every stream of an agent's sources, and compare what it gives with its contract."""
    found: list[Finding] = []
    for source in config.sources:
        with closing(connect(config, source.id, environment())) as connector:
            found += check.check(connector, find(source.preset).streams, source.zone)
    return tuple(_compared(each) for each in found)


def _compared(finding: Finding) -> Finding:
    """Add to what the source said what its contract misses."""
    if finding.problem or not finding.columns:
        return finding
    contract = contracts.find(finding.subject)
    required = {each.name for each in contract.properties if each.required}
    missing = sorted(required - set(finding.columns))
    if not missing:
        return finding
    return Finding(
        finding.subject,
        finding.columns,
        f"The mapping gives no {', '.join(missing)}.",
        "add the columns to the preset's mapping.",
    )

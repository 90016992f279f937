"""An agent's file: who it is, which source it reads; secrets stay in the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.base import LOOKBACK_SECONDS, PAGE_ROWS, ZONE, Source
from connectors.fields import Fields
from kernel import yaml
from kernel.errors import ConfigurationError
from kernel.ids import AgentId, EnterpriseId, SourceId, enterprise_id

_POLL_SECONDS = 30
_OUTBOX_BYTES = 5 << 30
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_VARIABLE_NAME = re.compile(r"^[A-Z][A-Z0-9_]*$")
# A password between colon and at sign, or as an option, that is not a variable.
_PLAIN_PASSWORD = re.compile(r"://[^/@:]*:(?!\$\{[^}]*\}@)[^@/]+@|(?i:password|pwd)=(?!\$\{)")


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """What an agent's file says; the address may still hold names of variables."""

    path: Path
    id: AgentId
    enterprise: EnterpriseId
    key_file: Path
    outbox: Path
    outbox_bytes: int
    preset: str
    source: Source
    poll_seconds: int

    @property
    def status_file(self) -> Path:
        """Name the file in which the agent tells how its last round went."""
        return self.outbox.with_name(self.outbox.name + ".status.json")

    @property
    def nudge_file(self) -> Path:
        """Name the file whose appearance asks for a round at once."""
        return self.outbox.with_name(self.outbox.name + ".nudge")


def load_agent(path: Path) -> AgentConfig:
    """Read an agent's file; it names what is wrong, and no secret is looked up yet."""
    top = Fields(yaml.load_mapping(path), path)
    agent, source = top.section("agent"), top.section("source")
    folder = path.absolute().parent
    config = AgentConfig(
        path=path,
        id=AgentId(agent.text("id")),
        enterprise=enterprise_id(agent.text("enterprise"), f"{path}, agent.enterprise"),
        key_file=folder / agent.text("key_file"),
        outbox=folder / agent.text("outbox"),
        outbox_bytes=agent.whole("outbox_bytes", _OUTBOX_BYTES),
        preset=source.text("preset"),
        source=_source(source, path),
        poll_seconds=top.whole("poll_seconds", _POLL_SECONDS),
    )
    for fields in (top, agent, source):
        fields.done()
    return config


def _source(source: Fields, path: Path) -> Source:
    zone = source.text("zone", ZONE)
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise ConfigurationError(
            f"{zone!r} is not a time zone.",
            where=f"{path}, source.zone",
            cure="write a name such as Asia/Shanghai.",
        ) from unknown
    url = source.text("url")
    if _PLAIN_PASSWORD.search(url):
        raise ConfigurationError(
            "A password stands in the file.",
            where=f"{path}, source.url",
            cure="put it into an environment variable and write ${NPLUSX_…} in its place.",
        )
    return Source(
        id=SourceId(source.text("id")),
        url=url,
        zone=zone,
        page_rows=source.whole("page_rows", PAGE_ROWS),
        lookback_seconds=source.whole("lookback_seconds", LOOKBACK_SECONDS),
    )


def expand(text: str, environment: Mapping[str, str], where: str) -> str:
    """Put the values of variables in the place of `${NAME}`."""

    def value_of(found: re.Match[str]) -> str:
        name = found.group(1)
        if not _VARIABLE_NAME.match(name) or name not in environment:
            raise ConfigurationError(
                f"The environment has no variable {name!r}.",
                where=where,
                cure=f"set {name} where the agent is started.",
            )
        return environment[name]

    return _VARIABLE.sub(value_of, text)

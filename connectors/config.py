"""An agent's file: who it is, which sources it reads; secrets stay in the environment."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.base import ZONE, Source
from connectors.fields import Fields
from connectors.registry import OWN, find, kind_of
from kernel import yaml
from kernel.errors import ConfigurationError
from kernel.ids import AgentId, EnterpriseId, agent_id, enterprise_id, source_id

_POLL_SECONDS = 30
_OUTBOX_BYTES = 5 << 30
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_FILE = "file:"
_VARIABLE_NAME = re.compile(r"^[A-Z][A-Z0-9_]*$")
# A password between colon and at sign, or as an option, that is not a variable.
_PLAIN_PASSWORD = re.compile(r"://[^/@:]*:(?!\$\{[^}]*\}@)[^@/]+@|(?i:password|pwd)=(?!\$\{)")
# What a setting is called that is nobody else's business.
_SECRET = re.compile(r"(?i)(password|passphrase|secret|token)$")


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Where records go that may only take the web; the token is a name of a variable or a file."""

    url: str
    token: str
    ca_file: Path | None


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """What an agent's file says; its sources may still hold names of variables."""

    path: Path
    id: AgentId
    enterprise: EnterpriseId
    key_file: Path
    # The factory's own secret that covers persons' names, if it has such rows.
    pseudonym_key: Path | None
    outbox: Path
    outbox_bytes: int
    sources: tuple[Source[object], ...]
    poll_seconds: int
    # Nothing: the brokers that the settings name.
    gateway: GatewayConfig | None = None

    @property
    def status_file(self) -> Path:
        """Name the file in which the agent tells how its last round went."""
        return self.outbox.with_name(self.outbox.name + ".status.json")

    @property
    def nudge_file(self) -> Path:
        """Name the file whose appearance asks for a round at once."""
        return self.outbox.with_name(self.outbox.name + ".nudge")


def load_agent(path: Path, variables: Mapping[str, str] | None = None) -> AgentConfig:
    """Read an agent's file; it names what is wrong. Secrets are put in place only if given."""
    said, folder = yaml.load_mapping(path), path.absolute().parent
    if variables is None:
        for part in ("sources", "send"):
            for name, text in _texts(said.get(part), part):
                _require_no_secret(name, text, path)
    else:
        where = f"{path}, sources"
        filled = _filled(said.get("sources"), lambda text: expand(text, variables, folder, where))
        said = {**said, "sources": filled}
    top = Fields(said, path)
    agent = top.section("agent")
    outbox = folder / agent.text("outbox")
    sources = tuple(_source(each, path, outbox) for each in top.sections("sources"))
    config = AgentConfig(
        path=path,
        id=agent_id(agent.text("id"), f"{path}, agent.id"),
        enterprise=enterprise_id(agent.text("enterprise"), f"{path}, agent.enterprise"),
        key_file=folder / agent.text("key_file"),
        pseudonym_key=folder / covering if (covering := agent.text("pseudonym_key", "")) else None,
        outbox=outbox,
        outbox_bytes=agent.whole("outbox_bytes", _OUTBOX_BYTES),
        sources=sources,
        poll_seconds=top.whole("poll_seconds", _POLL_SECONDS),
        gateway=_gateway(top.section("send"), folder) if "send" in said else None,
    )
    top.done()
    agent.done()
    if len({each.id for each in sources}) != len(sources) or not sources:
        raise ConfigurationError(
            "An agent reads one source or more, each with an id of its own.",
            where=f"{path}, sources",
            cure="give each source another `id`; the id is part of its streams' names.",
        )
    return config


def _gateway(fields: Fields, folder: Path) -> GatewayConfig:
    vouches = fields.text("ca_file", "")
    found = GatewayConfig(
        fields.address("url"), fields.text("token"), folder / vouches if vouches else None
    )
    fields.done()
    return found


def _source(fields: Fields, path: Path, outbox: Path) -> Source[object]:
    preset, name = fields.text("preset"), fields.text("id")
    if preset.endswith(OWN):
        preset = str(path.absolute().parent / preset)
    source = Source(
        id=source_id(name, f"{path}, sources"),
        preset=preset,
        way=kind_of(find(preset)).way_of(fields),
        zone=_zone(fields.text("zone", ZONE), path),
        memory=outbox.with_name(f"{outbox.name}.memory") / name,
    )
    fields.done()
    return source


def _filled(said: object, fill: Callable[[str], str]) -> object:
    """Replace the texts of a file's part, however deep they stand."""
    if isinstance(said, dict):
        return {name: _filled(each, fill) for name, each in said.items()}
    if isinstance(said, list):
        return [_filled(each, fill) for each in said]
    return fill(said) if isinstance(said, str) else said


def _texts(said: object, name: str) -> Iterator[tuple[str, str]]:
    """List the texts of a file's part, each with its name."""
    if isinstance(said, dict):
        for key, each in said.items():
            yield from _texts(each, f"{name}.{key}")
    elif isinstance(said, list):
        for at, each in enumerate(said):
            yield from _texts(each, f"{name}[{at}]")
    elif isinstance(said, str):
        yield name, said


def _require_no_secret(name: str, text: str, path: Path) -> None:
    is_secret = _SECRET.search(name) and not _VARIABLE.fullmatch(text)
    if is_secret or _PLAIN_PASSWORD.search(text):
        raise ConfigurationError(
            "A password stands in the file.",
            where=f"{path}, {name}",
            cure="put it into a file and write ${file:password} in its place, or into an "
            "environment variable and write ${NPLUSX_…}.",
        )


def _zone(zone: str, path: Path) -> str:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise ConfigurationError(
            f"{zone!r} is not a time zone.",
            where=f"{path}, sources",
            cure="write a name such as Asia/Shanghai.",
        ) from unknown
    return zone


def expand(text: str, environment: Mapping[str, str], folder: Path, where: str) -> str:
    """Put values of variables in the place of `${NAME}`, and files' in that of `${file:path}`."""

    def value_of(found: re.Match[str]) -> str:
        name = found.group(1)
        if name.startswith(_FILE):
            return quoted(_secret_of(folder / name.removeprefix(_FILE), where))
        if not _VARIABLE_NAME.match(name) or name not in environment:
            raise ConfigurationError(
                f"The environment has no variable {name!r}.",
                where=where,
                cure=f"set {name} where the agent is started.",
            )
        return quoted(environment[name])

    def quoted(value: str) -> str:
        # Inside of an address what gives it its form must not come from a password.
        return quote(value, safe="") if "://" in text else value

    return _VARIABLE.sub(value_of, text)


def _secret_of(path: Path, where: str) -> str:
    try:
        # Notepad begins a file with a mark.
        return path.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as unread:
        raise ConfigurationError(
            f"The secret in the file {path} cannot be read.",
            where=where,
            cure="write it there as one line of text, readable by the agent's user alone.",
        ) from unread

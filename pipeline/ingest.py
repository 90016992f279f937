"""Takes records that come over the web: checked as landing will check them, then onto the bus."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock

from bus.gateway import read_record
from bus.ports import Bus, Received, Record, Sender
from bus.topics import contract_of
from contracts.loader import all_contracts
from contracts.violations import TITLES, Kind
from kernel import canonical, clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import AgentId
from pipeline import wiring
from pipeline.admission import Refusal, read_head
from pipeline.settings import Settings

_FORM = "nxg1"
_PARTS = 4
# What those at either end can do about it; of anything else the county must hear.
_CURES = {
    Kind.KEY: "send the agent's `.pub` file to the county, which runs `nplusx registry key`; "
    "in place of a key that has ended make a new one, `nplusx agent key`.",
    Kind.ENTERPRISE: "let the county run `nplusx registry enterprise`.",
}


class RefusedError(Exception):
    """A record that the county will not have, and why."""


class NotTakenError(DependencyUnavailableError):
    """A record that Kafka does not take, although it takes others."""


class UnknownCallerError(Exception):
    """Somebody without a token that is good now; why stands in words for him."""


def issue_token(settings: Settings, agent: AgentId, days: int) -> str:
    """Make what lets an agent in for some days; nothing of it is kept."""
    if agent not in wiring.agents(settings):
        raise ConfigurationError(
            f"The agent {agent} is not registered.",
            cure=f"register it: `nplusx registry agent {agent} --enterprise USCC`.",
        )
    ends = int((clock.now() + timedelta(days=days)).timestamp())
    return _token(settings, agent, str(ends))


def caller(settings: Settings, token: str) -> AgentId:
    """Tell whose token it is, if it is one and good now."""
    parts = token.split(".")
    if len(parts) != _PARTS:
        raise UnknownCallerError("令牌无效 the token is none of the county's")
    _, agent, ends, _ = parts
    right = _token(settings, AgentId(agent), ends)
    if not hmac.compare_digest(right.encode(), token.encode()):
        raise UnknownCallerError("令牌无效 the token is none of the county's")
    ended_at = datetime.fromtimestamp(int(ends), UTC)
    if ended_at < clock.now():
        raise UnknownCallerError(f"令牌已过期 the token ended at {ended_at.isoformat()}")
    return AgentId(agent)


def _token(settings: Settings, agent: AgentId, ends: str) -> str:
    key = wiring.secret(settings.state_dir / "keys" / "gateway.secret").encode()
    said = f"{_FORM}.{agent}.{ends}"
    mac = hmac.digest(key, said.encode(), hashlib.sha256)
    return f"{said}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


class Ingest:
    """The county's side of the gateway; several threads may use it at once."""

    def __init__(self, settings: Settings, bus: Bus) -> None:
        self._settings, self._bus = settings, bus
        self._known = partial(wiring.known, settings)
        self._sender: Sender | None = None
        self._lock = Lock()

    def take(self, agent: AgentId, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """Put a record of an agent on the bus, or say why not; a repeat does no harm."""
        record = read_record(headers, body)
        self._check(agent, record)
        if said := self._send(record):
            raise NotTakenError(said, where=f"topic {record.topic}")

    def _check(self, agent: AgentId, record: Record) -> None:
        contract = all_contracts().get(contract_of(record.topic))
        if contract is None:
            raise RefusedError(
                f"the county knows no contract {contract_of(record.topic)!r}. Cure: let it "
                "install a version that does, or stop reading this stream."
            )
        now = int(clock.now().timestamp() * 1000)
        came = Received(record.topic, 0, 0, now, record.key, record.value, record.headers)
        head = read_head(came, contract, self._known())
        sender = head.sender
        faults = head.faults_with(canonical.digest(record.value))
        if isinstance(sender, Refusal) or faults:
            kinds = sender.kinds if isinstance(sender, Refusal) else faults
            raise RefusedError(" ".join(map(_told, kinds)))
        if (whose := head.envelope.get("ce_agentid")) != agent:
            raise RefusedError(
                f"the token is of the agent {agent}, the record of {whose}. Cure: put the "
                f"token of {whose} where `send.token` says."
            )

    def _send(self, record: Record) -> str:
        with self._lock:
            if self._sender is None:
                self._sender = self._bus.sender()
            sender = self._sender
        (said,) = sender.send([record])
        if said:
            # A new connection may do better.
            with self._lock:
                if self._sender is sender:
                    self._sender = None
            sender.close()
        return said

    def close(self) -> None:
        """Let go of the bus."""
        if self._sender is not None:
            self._sender.close()
        self._bus.close()


def _told(kind: Kind) -> str:
    """Say why a record is refused, and what to do."""
    title, cure = TITLES[kind], _CURES.get(kind, "tell the county, with the name of the agent.")
    return f"{title.zh} {title.en} ({kind}). Cure: {cure}"

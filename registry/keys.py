"""Agents and the keys with which they sign: what landing needs to know whom to believe."""

import base64
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from kernel.errors import ConfigurationError
from kernel.evidence import PublicKey
from kernel.ids import AgentId, EnterpriseId, KeyId, agent_id
from registry.database import Registry
from registry.models import AgentKeyRow, AgentRow, EnterpriseRow


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """A key, whose it is, and when it counts."""

    key: PublicKey
    agent: AgentId
    enterprise: EnterpriseId
    valid_from: datetime
    valid_to: datetime | None = None
    revoked_at: datetime | None = None

    def accepts(self, at: datetime) -> bool:
        """Tell whether what was signed and arrived at an instant counts."""
        return (
            self.valid_from <= at
            and (self.valid_to is None or at < self.valid_to)
            and (self.revoked_at is None or at < self.revoked_at)
        )


def save_agent(registry: Registry, agent: AgentId, enterprise: EnterpriseId) -> None:
    """Register an agent; it never changes hands, for its keys speak for the enterprise."""
    agent_id(agent)
    with registry.writing() as session:
        found = session.get(AgentRow, agent)
        if found is None:
            if session.get(EnterpriseRow, enterprise) is None:
                raise ConfigurationError(
                    f"The enterprise {enterprise} is not registered.",
                    cure=f"register it first, with `nplusx registry enterprise {enterprise}`.",
                )
            session.add(AgentRow(id=agent, enterprise_uscc=enterprise))
        elif found.enterprise_uscc != enterprise:
            raise ConfigurationError(
                f"The agent {agent} belongs to {found.enterprise_uscc}.",
                cure="give the new installation a name of its own.",
            )


def agents(registry: Registry) -> dict[AgentId, EnterpriseId]:
    """List the agents with their enterprises."""
    with registry.reading() as session:
        rows = session.scalars(select(AgentRow).order_by(AgentRow.id))
        return {AgentId(row.id): EnterpriseId(row.enterprise_uscc) for row in rows}


def save_key(registry: Registry, agent: AgentId, key: PublicKey, valid_from: datetime) -> None:
    """Register a key of an agent; again is as good as once, and a key never changes hands."""
    with registry.writing() as session:
        found = session.get(AgentKeyRow, key.id)
        if found is None:
            if session.get(AgentRow, agent) is None:
                raise ConfigurationError(
                    f"The agent {agent} is not registered.",
                    cure=f"register it: `nplusx registry agent {agent} --enterprise USCC`.",
                )
            row = AgentKeyRow(
                key_id=key.id, agent_id=agent, public_key=key.text, valid_from=valid_from
            )
            session.add(row)
        elif found.agent_id != agent:
            raise ConfigurationError(
                f"The key {key.id} belongs to the agent {found.agent_id}.",
                cure="make a new key with `nplusx agent key`.",
            )


def end_key(registry: Registry, key: KeyId, valid_to: datetime) -> None:
    """Let a key end in good order, as when it is replaced; an earlier end stands."""
    with registry.writing() as session:
        row = _named(session.get(AgentKeyRow, key), key)
        row.valid_to = min(row.valid_to or valid_to, valid_to)


def revoke_key(registry: Registry, key: KeyId, revoked_at: datetime) -> None:
    """Stop believing a key from an instant on; an earlier revocation stands."""
    with registry.writing() as session:
        row = _named(session.get(AgentKeyRow, key), key)
        row.revoked_at = min(row.revoked_at or revoked_at, revoked_at)


def keyring(registry: Registry) -> dict[KeyId, RegisteredKey]:
    """Give every key by its id, also the ended ones: old records were signed by them."""
    query = (
        select(AgentKeyRow, AgentRow)
        .join(AgentRow, AgentRow.id == AgentKeyRow.agent_id)
        .order_by(AgentKeyRow.key_id)
    )
    with registry.reading() as session:
        found = [
            RegisteredKey(
                PublicKey(base64.b64decode(key.public_key)),
                AgentId(agent.id),
                EnterpriseId(agent.enterprise_uscc),
                key.valid_from,
                key.valid_to,
                key.revoked_at,
            )
            for key, agent in session.execute(query)
        ]
    # The id is computed anew: a row cannot pass one key off under another's name.
    return {each.key.id: each for each in found}


def _named(row: AgentKeyRow | None, key: KeyId) -> AgentKeyRow:
    if row is None:
        raise ConfigurationError(
            f"There is no key {key}.", cure="use a key that `nplusx registry list` shows."
        )
    return row

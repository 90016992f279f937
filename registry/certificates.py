"""Certificates of connectors: what an agent's reading of a source passed before it counts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from kernel.errors import ConfigurationError
from kernel.ids import AgentId
from registry.database import Registry
from registry.models import AgentRow, ConnectorCertificateRow

_APART = "\n"


@dataclass(frozen=True, slots=True)
class ConnectorCertificate:
    """What a certificate says, and when the county took it."""

    digest: str
    agent: AgentId
    source: str
    preset: str
    contracts: tuple[str, ...]
    # What was left out, each with its reason.
    skipped: tuple[str, ...]
    certified_at: datetime
    registered_at: datetime

    def covers(self, agent: str, source: str, contract: str) -> bool:
        """Tell whether a stream is one of those that were tried."""
        return (self.agent, self.source) == (agent, source) and contract in self.contracts


def save_certificate(registry: Registry, given: ConnectorCertificate, statement: bytes) -> None:
    """Keep a certificate as it was signed; again is as good as once."""
    with registry.writing() as session:
        if session.get(ConnectorCertificateRow, given.digest) is not None:
            return
        if session.get(AgentRow, given.agent) is None:
            raise ConfigurationError(
                f"The agent {given.agent} is not registered.",
                cure=f"register it: `nplusx registry agent {given.agent} --enterprise USCC`.",
            )
        session.add(
            ConnectorCertificateRow(
                digest=given.digest,
                agent_id=given.agent,
                source=given.source,
                preset=given.preset,
                contracts=_APART.join(given.contracts),
                skipped=_APART.join(given.skipped),
                certified_at=given.certified_at,
                registered_at=given.registered_at,
                statement=statement,
            )
        )


def certificates(registry: Registry) -> tuple[ConnectorCertificate, ...]:
    """List all, the oldest first."""
    order = (ConnectorCertificateRow.certified_at, ConnectorCertificateRow.digest)
    with registry.reading() as session:
        return tuple(
            ConnectorCertificate(
                row.digest,
                AgentId(row.agent_id),
                row.source,
                row.preset,
                tuple(row.contracts.split(_APART)),
                tuple(filter(None, row.skipped.split(_APART))),
                row.certified_at,
                row.registered_at,
            )
            for row in session.scalars(select(ConnectorCertificateRow).order_by(*order))
        )

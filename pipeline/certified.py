"""The county takes a connector's certificate: signed by a key that counts now, and passed whole."""

from pathlib import Path

from kernel import canonical, clock
from kernel.errors import ChecksFailedError, ConfigurationError, TamperingError
from kernel.ids import AgentId, KeyId
from pipeline import certificate, wiring
from pipeline.certificate import Certificate, Outcome
from pipeline.settings import Settings
from registry.certificates import ConnectorCertificate, save_certificate


def take(path: Path, settings: Settings) -> ConnectorCertificate:
    """Check a certificate by its agent's registered key, and keep it."""
    now = clock.now()
    # Read once: what is kept is what was checked.
    text = certificate.text_of(path)
    named = certificate.opened(text, None, str(path))
    registered = wiring.keys(settings).get(KeyId(named.key_id))
    if registered is None or not registered.accepts(now):
        raise ConfigurationError(
            f"The key {named.key_id} of the certificate does not count.",
            where=str(path),
            cure=f"register the agent's key with `nplusx registry key {named.agent} FILE`, or"
            " certify again with the key that the agent uses now.",
        )
    # Whose key it is the county knows; what the certificate says of that proves nothing.
    told = certificate.opened(text, registered.key, str(path))
    if (told.agent, told.enterprise) != (registered.agent, registered.enterprise):
        raise TamperingError(
            f"The certificate speaks for agent {told.agent} of {told.enterprise}, its key for"
            f" {registered.agent} of {registered.enterprise}.",
            where=str(path),
        )
    _require_pass(told, path)
    given = ConnectorCertificate(
        digest=canonical.digest(text),
        agent=AgentId(told.agent),
        source=told.source,
        preset=told.preset,
        contracts=told.streams,
        skipped=tuple(
            f"{each.name} of {each.stream}: {each.told}"
            for each in told.parts
            if each.outcome is Outcome.SKIPPED
        ),
        certified_at=told.finished_at,
        registered_at=now,
    )
    save_certificate(wiring.registry(settings), given, text)
    return given


def _require_pass(told: Certificate, path: Path) -> None:
    if told.failed:
        raise ChecksFailedError(
            f"{len(told.failed)} of {len(told.parts)} parts failed:"
            f" {', '.join(f'{each.name} of {each.stream}' for each in told.failed)}.",
            where=str(path),
            cure="let the factory mend what is named, and certify again.",
        )
    if told.finished_at > clock.now():
        raise ConfigurationError(
            f"The certificate is of {told.finished_at}, which is yet to come.",
            where=str(path),
            cure="let the factory set the clock of the agent's machine, and certify again.",
        )

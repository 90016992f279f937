"""Who sent a record and may it: identity comes from the verified key, never from a header."""

from collections.abc import Mapping
from dataclasses import dataclass

from bus import envelope as envelopes
from bus.envelope import Envelope
from bus.ports import Received
from bus.topics import contract_of
from contracts.model import Contract
from contracts.violations import Kind
from kernel.ids import KeyId
from registry.keys import RegisteredKey
from registry.people import Enterprise

_SOURCE_PARTS = 4


@dataclass(frozen=True, slots=True)
class Known:
    """What the registry knows of keys and enterprises, at the start of a step."""

    keys: Mapping[KeyId, RegisteredKey]
    enterprises: Mapping[str, Enterprise]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a record is from, once that is settled."""

    enterprise: str
    source: str
    stream: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a whole record is refused; the sender is what the headers claim."""

    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """What a record's headers and key say, what is wrong with them, and who sent it."""

    envelope: Envelope
    faults: tuple[Kind, ...]
    sender: Sender | Refusal

    def faults_with(self, digest: str) -> tuple[Kind, ...]:
        """Add whether the body is the one that the headers speak of."""
        claimed = self.envelope.body_digest
        return (*self.faults, Kind.DIGEST) if claimed and claimed != digest else self.faults


def read_head(record: Received, contract: Contract, known: Known) -> Head:
    """Settle what can be said of a record before its body is looked at."""
    envelope = envelopes.read(record)
    faults = _form_faults(record, envelope, contract)
    return Head(envelope, faults, _admit(record, envelope, contract, known))


def _form_faults(record: Received, envelope: Envelope, contract: Contract) -> tuple[Kind, ...]:
    """Check what can be checked without knowing anybody."""
    # The binding knows it by the content type alone. The signature of ours covers headers.
    if envelope.content_type.lower().startswith("application/cloudevents"):
        return (Kind.STRUCTURED,)
    faults: list[Kind] = []
    if envelope.faults or not envelope.get("ce_source").startswith("/"):
        faults.append(Kind.HEADERS)
    if (
        envelope.content_type not in envelopes.CONTENT_TYPES
        or envelope.encoding not in envelopes.ENCODINGS
    ):
        faults.append(Kind.CONTENT_TYPE)
    if envelope.get("ce_contractid") != contract.id or contract_of(record.topic) != contract.id:
        faults.append(Kind.CONTRACT)
    return tuple(faults)


def _admit(
    record: Received, envelope: Envelope, contract: Contract, known: Known
) -> Sender | Refusal:
    """Settle who sent a record, and whether they may publish this contract."""
    signed = bool(envelope.get("ce_signature"))
    sender = _signed(record, envelope, known) if signed else _unsigned(envelope, known)
    if isinstance(sender, Refusal):
        return sender
    stream = f"{sender.stream}/{contract.id}"
    named = envelopes.stream_id(record, envelope)
    if named != stream or (record.key or b"") != stream.encode():
        return Refusal((Kind.HEADERS,))
    enterprise = known.enterprises.get(sender.enterprise)
    if enterprise is None:
        return Refusal((Kind.ENTERPRISE,))
    if enterprise.kind.value != contract.publisher.value:
        return Refusal((Kind.PUBLISHER,))
    return Sender(sender.enterprise, sender.source, stream, sender.key_id)


def _parts(envelope: Envelope) -> tuple[str, str, str] | None:
    parts = envelope.get("ce_source").split("/")
    if len(parts) != _SOURCE_PARTS or not all(parts[1:]):
        return None
    return parts[1], parts[2], parts[3]


def _signed(record: Received, envelope: Envelope, known: Known) -> Sender | Refusal:
    registered = known.keys.get(KeyId(envelope.get("ce_keyid")))
    if registered is None or not registered.accepts(record.broker_at):
        return Refusal((Kind.KEY,))
    # The digest is what binds the body: without it the signature covers headers only.
    if not envelope.body_digest or not envelope.is_signed_by(registered.key):
        return Refusal((Kind.SIGNATURE,))
    parts = _parts(envelope)
    if parts is None or parts[:2] != (registered.enterprise, registered.agent):
        return Refusal((Kind.KEY,))
    enterprise, agent, source = parts
    return Sender(enterprise, source, f"{enterprise}/{agent}/{source}", registered.key.id)


def _unsigned(envelope: Envelope, known: Known) -> Sender | Refusal:
    parts = _parts(envelope)
    if parts is None:
        return Refusal((Kind.HEADERS,))
    enterprise, agent, source = parts
    registered = known.enterprises.get(enterprise)
    if registered is None:
        return Refusal((Kind.ENTERPRISE,))
    # An agent that has a key signs: else anybody could speak, and count, in its name.
    has_key = any((k.enterprise, k.agent) == (enterprise, agent) for k in known.keys.values())
    if has_key or not registered.accepts_unsigned:
        return Refusal((Kind.UNSIGNED,))
    return Sender(enterprise, source, f"{enterprise}/{agent}/{source}", "")

"""A connector's certificate: what was tried at a source, what came of it, signed by the agent."""

import base64
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from kernel import canonical
from kernel.errors import ConfigurationError, TamperingError
from kernel.evidence import PublicKey, SigningKey, envelope, open_envelope

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://nplusx.example/connector-certificate/v1"


class Outcome(StrEnum):
    """What came of a part."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that was tried, of one stream or of the source as a whole."""

    name: str
    stream: str
    outcome: Outcome
    # What was seen; why it failed; why it was left out.
    told: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was tried, with what, by whom, and what came of it."""

    nplusx: str
    agent: str
    key_id: str
    public_key: str
    enterprise: str
    source: str
    kind: str
    preset: str
    preset_digest: str
    streams: tuple[str, ...]
    started_at: datetime
    finished_at: datetime
    parts: tuple[Part, ...]
    # What the source said that it is; not every one says, and older certificates do not.
    product: str = ""

    @property
    def failed(self) -> tuple[Part, ...]:
        """List what failed."""
        return tuple(each for each in self.parts if each.outcome is Outcome.FAILED)

    @property
    def is_pass(self) -> bool:
        """Tell whether nothing failed."""
        return not self.failed


class _Statement(TypedDict):
    """The in-toto statement around a certificate."""

    predicateType: str
    predicate: Certificate


_STATEMENT = TypeAdapter(_Statement)


def sign(certificate: Certificate, key: SigningKey) -> bytes:
    """Write the certificate as a signed in-toto statement over its preset."""
    told = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": certificate.preset, "digest": {"sha256": certificate.preset_digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": asdict(certificate),
    }
    return envelope(PAYLOAD_TYPE, canonical.dumps(told), key)


def read(path: Path, trusted: PublicKey | None) -> Certificate:
    """Check a certificate by a key that is trusted, or by the one that it names; give it."""
    return opened(text_of(path), trusted, str(path))


def text_of(path: Path) -> bytes:
    """Give what stands in a certificate's file."""
    try:
        return path.read_bytes().strip()
    except OSError as missing:
        raise ConfigurationError(
            f"The certificate cannot be read: {missing.strerror}.",
            where=str(path),
            cure="name the file that `nplusx connector certify --out FILE` wrote.",
        ) from missing


def opened(text: bytes, trusted: PublicKey | None, where: str) -> Certificate:
    """Check a certificate's text as `read` checks a file."""
    key = trusted or PublicKey.from_text(_certificate(_unchecked(text)).public_key, where)
    return _certificate(open_envelope(text, PAYLOAD_TYPE, key))


def _unchecked(text: bytes) -> bytes:
    try:
        sealed = canonical.loads(text)
        payload = sealed["payload"] if isinstance(sealed, dict) else ""
        return base64.b64decode(payload, validate=True)
    except (LookupError, TypeError, ValueError) as broken:
        raise TamperingError("This is not a certificate of a connector.") from broken


def _certificate(payload: bytes) -> Certificate:
    try:
        told = _STATEMENT.validate_json(payload)
    except ValueError as broken:
        raise TamperingError("This is not a certificate of a connector.") from broken
    if told["predicateType"] != PREDICATE_TYPE:
        raise TamperingError(f"The envelope holds {told['predicateType']!r}.")
    return told["predicate"]

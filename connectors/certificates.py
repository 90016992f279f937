"""Certificates by which an agent and a server know each other."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from kernel import clock
from kernel.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Identity:
    """Files: our certificate and its key, and the certificate that the server must show."""

    certificate: str
    private_key: str
    server_certificate: str


@dataclass(frozen=True, slots=True)
class Papers:
    """What the files hold, in DER whatever they are called, and the name in our certificate."""

    name: str
    certificate: bytes
    private_key: bytes
    server_certificate: bytes


def read_identity(identity: Identity) -> Papers:
    """Read the files; both certificates must be in force."""
    ours = _read(identity.certificate)
    theirs = _read(identity.server_certificate)
    key = _read_key(identity.private_key)
    try:
        names = ours.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        name = names.get_values_for_type(x509.UniformResourceIdentifier)[0]
    except (x509.ExtensionNotFound, IndexError) as missing:
        raise ConfigurationError(
            "The certificate names no application.",
            where=identity.certificate,
            cure="make one whose subjectAltName holds URI:urn:….",
        ) from missing
    return Papers(name, ours.public_bytes(Encoding.DER), key, theirs.public_bytes(Encoding.DER))


def _read_key(path: str) -> bytes:
    try:
        raw = Path(path).read_bytes()
        load = load_pem_private_key if _is_pem(raw) else load_der_private_key
        return load(raw, None).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as broken:
        raise ConfigurationError(
            f"The certificate's key cannot be read: {broken}.",
            where=path,
            cure="name a file in PEM or DER, without a password, that the agent may read.",
        ) from broken


def _is_pem(raw: bytes) -> bool:
    return raw.lstrip().startswith(b"-----")


def _read(path: str) -> x509.Certificate:
    try:
        raw = Path(path).read_bytes()
        load = x509.load_pem_x509_certificate if _is_pem(raw) else x509.load_der_x509_certificate
        found = load(raw)
    except (OSError, ValueError) as broken:
        raise ConfigurationError(
            f"The certificate cannot be read: {broken}.",
            where=path,
            cure="name a file in PEM or DER that the agent may read.",
        ) from broken
    if not found.not_valid_before_utc <= clock.now() <= found.not_valid_after_utc:
        raise ConfigurationError(
            f"The certificate holds from {found.not_valid_before_utc:%F} "
            f"to {found.not_valid_after_utc:%F} only.",
            where=path,
            cure="put a new one in its place, and let the other side trust it.",
        )
    return found

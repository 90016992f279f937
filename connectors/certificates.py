"""Certificates by which an agent and a server know each other."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kernel import clock
from kernel.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Identity:
    """Files: our certificate and its key, and the certificate that the server must show."""

    certificate: str
    private_key: str
    server_certificate: str


def read_identity(identity: Identity) -> tuple[str, bytes]:
    """Give the name in our certificate, and the server's in DER; both must be in force."""
    ours = _read(identity.certificate)
    theirs = _read(identity.server_certificate).public_bytes(Encoding.DER)
    try:
        names = ours.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.UniformResourceIdentifier)[0], theirs
    except (x509.ExtensionNotFound, IndexError) as missing:
        raise ConfigurationError(
            "The certificate names no application.",
            where=identity.certificate,
            cure="make one whose subjectAltName holds URI:urn:….",
        ) from missing


def _read(path: str) -> x509.Certificate:
    try:
        raw = Path(path).read_bytes()
        pem = raw.lstrip().startswith(b"-----")
        found = x509.load_pem_x509_certificate(raw) if pem else x509.load_der_x509_certificate(raw)
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

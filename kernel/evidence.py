"""What makes a claim provable: Ed25519 signatures, RFC 6962 Merkle roots, DSSE envelopes."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typing_extensions import override

from kernel import canonical
from kernel.errors import ConfigurationError, TamperingError
from kernel.ids import KeyId


class _Signature(TypedDict):
    keyid: str
    sig: str


class Sealed(TypedDict):
    """A DSSE envelope as JSON."""

    payloadType: str
    payload: str
    signatures: list[_Signature]


_KEY_BYTES = 32
_KEY_ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that checks signatures."""

    raw: bytes

    @classmethod
    def from_text(cls, text: str, where: str) -> "PublicKey":
        """Read a key from the base64 text of its 32 bytes."""
        return cls(_key_bytes(text, where, "public"))

    @classmethod
    def from_file(cls, path: Path) -> "PublicKey":
        """Read a key from the file that is sent to the county."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as refused:
            raise ConfigurationError(
                "The public key cannot be read.",
                where=str(path),
                cure="name the .pub file that `nplusx agent key` made.",
            ) from refused
        return cls.from_text(text, str(path))

    @property
    def text(self) -> str:
        """Write the key as base64."""
        return base64.b64encode(self.raw).decode()

    @property
    def id(self) -> KeyId:
        """Name the key by its digest."""
        return KeyId(canonical.digest(self.raw)[:_KEY_ID_DIGITS])

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Tell whether the signature is this key's over the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key; `repr` never shows it."""

    _raw: bytes

    @classmethod
    def from_text(cls, text: str, where: str) -> "SigningKey":
        """Read a key from the base64 text of its 32 bytes."""
        return cls(_key_bytes(text, where, "signing"))

    @property
    def text(self) -> str:
        """Write the key as base64, for its file."""
        return base64.b64encode(self._raw).decode()

    @property
    def public(self) -> PublicKey:
        """Give the key that checks what this one signs."""
        key = Ed25519PrivateKey.from_private_bytes(self._raw).public_key()
        return PublicKey(key.public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, message: bytes) -> bytes:
        """Sign a message."""
        return Ed25519PrivateKey.from_private_bytes(self._raw).sign(message)

    @override
    def __repr__(self) -> str:
        return f"SigningKey({self.public.id})"


def _key_bytes(text: str, where: str, kind: str) -> bytes:
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise ConfigurationError(
            f"This is not a {kind} key.",
            where=where,
            cure="the file must hold 32 bytes in base64, as `nplusx agent key` writes them.",
        )
    return raw


def merkle_root(leaves: Sequence[bytes]) -> str:
    """Compute the Merkle tree head of RFC 6962 over the leaves, in hexadecimal."""
    return _head(leaves).hex()


def _head(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    # RFC 6962 splits at the largest power of two below the number of leaves.
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + _head(leaves[:split]) + _head(leaves[split:])).digest()


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """Give the bytes that a DSSE signature covers."""
    kind = payload_type.encode()
    return b" ".join(
        (b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload)
    )


def envelope(payload_type: str, payload: bytes, key: SigningKey) -> bytes:
    """Wrap a payload in a signed DSSE envelope."""
    signature = key.sign(pre_authentication(payload_type, payload))
    return _written(payload_type, payload, key.public, signature)


def _written(payload_type: str, payload: bytes, key: PublicKey, signature: bytes) -> bytes:
    signed = _Signature(keyid=key.id, sig=base64.b64encode(signature).decode())
    return canonical.dumps(
        Sealed(
            payloadType=payload_type,
            payload=base64.b64encode(payload).decode(),
            signatures=[signed],
        )
    )


def open_envelope(text: bytes, payload_type: str, key: PublicKey) -> bytes:
    """Check a DSSE envelope and give its payload."""
    try:
        sealed: Sealed = orjson.loads(text)
        kind = sealed["payloadType"]
        payload = base64.b64decode(sealed["payload"], validate=True)
        (signature,) = (base64.b64decode(each["sig"]) for each in sealed["signatures"])
    except (KeyError, TypeError, ValueError) as broken:
        raise TamperingError("The envelope is not of the form that was sealed.") from broken
    if kind != payload_type:
        raise TamperingError(f"The envelope holds {kind!r}, not {payload_type!r}.")
    if not key.verifies(signature, pre_authentication(payload_type, payload)):
        raise TamperingError(
            "The signature of the envelope does not fit its payload.", where=f"key {key.id}"
        )
    # The signature covers the payload only: the bytes around it must be as we write them.
    if text != _written(payload_type, payload, key, signature):
        raise TamperingError("The envelope is not of the form that was sealed.")
    return payload

"""Evidence: RFC 6962 roots, DSSE envelopes, Ed25519 keys."""

import base64

import pytest

from kernel import canonical
from kernel.errors import ConfigurationError, TamperingError
from kernel.evidence import (
    PublicKey,
    SigningKey,
    envelope,
    merkle_root,
    open_envelope,
    pre_authentication,
)

KEY = SigningKey(b"\x03" * 32)

# The leaves of the test vectors that Certificate Transparency publishes for RFC 6962.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("count", ROOTS)
def test_the_root_is_that_of_the_published_vectors(count: int) -> None:
    assert merkle_root(LEAVES[:count]) == ROOTS[count]


def test_dsse_covers_type_and_length() -> None:
    assert (
        pre_authentication("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_envelope_opens_with_its_key_only() -> None:
    sealed = envelope("text/plain", b"said", KEY)
    assert open_envelope(sealed, "text/plain", KEY.public) == b"said"
    with pytest.raises(TamperingError):
        open_envelope(sealed, "text/plain", SigningKey(b"\x04" * 32).public)
    with pytest.raises(TamperingError):
        open_envelope(sealed, "text/html", KEY.public)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b"\xff", b'{"payloadType":"text/plain","payload":"*","signatures":[]}'],
)
def test_what_is_no_envelope_is_tampering_and_not_a_crash(text: bytes) -> None:
    with pytest.raises(TamperingError):
        open_envelope(text, "text/plain", KEY.public)


def test_a_changed_payload_is_noticed() -> None:
    sealed = canonical.loads(envelope("text/plain", b"said", KEY))
    assert isinstance(sealed, dict)
    sealed["payload"] = base64.b64encode(b"unsaid").decode()
    with pytest.raises(TamperingError):
        open_envelope(canonical.dumps(sealed), "text/plain", KEY.public)


def test_any_byte_of_an_envelope_counts() -> None:
    """Also those that no signature covers: the key's name, the spare bits of base64, a blank."""
    sealed = envelope("text/plain", b"said", KEY)
    for place in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[place] ^= 1 << bit
            with pytest.raises(TamperingError):
                open_envelope(bytes(changed), "text/plain", KEY.public)
    with pytest.raises(TamperingError):
        open_envelope(sealed + b"\n", "text/plain", KEY.public)


def test_a_key_never_shows_itself() -> None:
    assert KEY.text not in repr(KEY)
    assert repr(KEY) == f"SigningKey({KEY.public.id})"
    assert SigningKey.from_text(KEY.text, "here").public == KEY.public
    for text in ("", "short", "####", base64.b64encode(b"\x01" * 31).decode()):
        with pytest.raises(ConfigurationError):
            SigningKey.from_text(text, "here")


def test_a_public_key_of_the_wrong_size_verifies_nothing() -> None:
    assert not PublicKey(b"short").verifies(KEY.sign(b"x"), b"x")

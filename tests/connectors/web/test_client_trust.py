"""The client of HTTP sources looks at every certificate, and says what is wrong with one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.web.client import Client
from connectors.web.login import Login, Request
from connectors.web.way import Way
from kernel.errors import ConfigurationError
from tests.connectors.web.server import Answer, serving

pytestmark = pytest.mark.real_system
NONE, ROWS, WELL = Login(), Request("rows"), Answer({"rows": []})


def certificate(folder: Path, name: str, days: int, host: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.now(UTC) + timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=30)).not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@pytest.fixture(params=[("good", 20, "127.0.0.1", ""), ("old", -2, "127.0.0.1", "has expired"),
                        ("other", 20, "127.0.0.9", "for another name")])  # fmt: skip
def shown(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[tuple[Path, Path], str]:
    name, days, host, what = request.param
    return certificate(tmp_path, name, days, host), what


def test_certificates_are_always_looked_at(shown: tuple[tuple[Path, Path], str]) -> None:
    files, what = shown
    with serving(lambda _: WELL, files) as server:
        trusting = replace(server.way(), ca_file=str(files[0]))
        client = Client(trusting, NONE, "erp")
        if what:
            with pytest.raises(ConfigurationError, match=what):
                client.ask(ROWS, "s")
        else:
            client.ask(ROWS, "s")
        stranger = Client(server.way(), NONE, "erp")
        with pytest.raises(ConfigurationError, match="certificate") as failed:
            stranger.ask(ROWS, "s")
        assert failed.value.cure
        client.close()
        stranger.close()


def test_an_authority_that_is_put_in_place_later_is_believed_then(tmp_path: Path) -> None:
    named = tmp_path / "ca.pem"
    named.write_bytes(certificate(tmp_path, "stranger", 20, "127.0.0.1")[0].read_bytes())
    files = certificate(tmp_path, "good", 20, "127.0.0.1")
    with serving(lambda _: WELL, files) as server:
        client = Client(replace(server.way(), ca_file=str(named)), NONE, "erp")
        with pytest.raises(ConfigurationError, match="not trusted"):
            client.ask(ROWS, "s")
        named.write_bytes(files[0].read_bytes())
        client.ask(ROWS, "s")
        client.close()


def test_a_ca_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Client(Way("https://erp.example/", ca_file=str(tmp_path / "none.pem")), NONE, "erp")

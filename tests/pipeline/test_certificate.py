"""A certificate is what was signed, or it is refused."""

import base64
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kernel import canonical
from kernel.errors import ConfigurationError, TamperingError
from kernel.evidence import SigningKey, envelope
from pipeline.certificate import PAYLOAD_TYPE, Certificate, Outcome, Part, read, sign

KEY = SigningKey.from_text("A" * 43 + "=", "test")
OTHER = SigningKey.from_text("B" * 43 + "=", "test")
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
FOUND = Certificate(
    nplusx="0.1.0",
    agent="pc",
    key_id=KEY.public.id,
    public_key=KEY.public.text,
    enterprise="E",
    source="mes",
    kind="sql",
    preset="shopfloor_mes",
    preset_digest="00",
    streams=("mes.work_order.v1",),
    started_at=NOON,
    finished_at=NOON,
    parts=(Part("soak", "mes.work_order.v1", Outcome.FAILED, "it grows", "mend it"),),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cert.json"
    path.write_bytes(sign(FOUND, KEY) + b"\n")
    return path


def test_what_was_signed_is_read(file: Path) -> None:
    assert read(file, KEY.public) == read(file, None) == FOUND
    assert FOUND.failed == FOUND.parts


def test_another_key_is_refused(file: Path) -> None:
    with pytest.raises(TamperingError):
        read(file, OTHER.public)


def test_a_changed_outcome_is_noticed(file: Path) -> None:
    sealed = canonical.loads(file.read_bytes())
    payload = base64.b64decode(sealed["payload"])
    assert b'"failed"' in payload
    forged = base64.b64encode(payload.replace(b'"failed"', b'"passed"')).decode()
    file.write_bytes(canonical.dumps({**sealed, "payload": forged}))
    for key in (KEY.public, None):
        with pytest.raises(TamperingError):
            read(file, key)


def test_who_signs_in_anothers_name_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "forged.json"
    path.write_bytes(sign(FOUND, OTHER))
    with pytest.raises(TamperingError):
        read(path, None)
    path.write_bytes(sign(replace(FOUND, public_key=OTHER.public.text), OTHER))
    with pytest.raises(TamperingError):
        read(path, KEY.public)


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"[]", b'{"payload": 3}', envelope(PAYLOAD_TYPE, b"{}", KEY),
     envelope(PAYLOAD_TYPE, canonical.dumps({"predicateType": "x", "predicate": 1}), KEY)],
)  # fmt: skip
def test_what_is_no_certificate_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(text)
    with pytest.raises(TamperingError, match="not a certificate"):
        read(path, None)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path / "none", None)

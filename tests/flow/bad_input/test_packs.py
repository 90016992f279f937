"""What is no pack, half a pack or a hostile one: `nplusx verify` says so and never trips."""

import base64
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from kernel.evidence import SigningKey
from pipeline import pack
from tests.flow.bad_input.command import Shell, as_anybody, beside
from tests.packs import archive_of, contents, flipped, table, with_column

STRANGER = SigningKey(b"\x09" * 32)
ROWS = "rows/landing__erp_payment_v1.parquet"
CONTRACT = "contracts/erp.payment.v1.odcs.yaml"


@pytest.fixture
def good(state: Path) -> Path:
    (path,) = (state / "packs").iterdir()
    return path


def test_what_is_not_there_or_no_file_is_a_usage_error(tmp_path: Path, shell: Shell) -> None:
    shell("verify", str(tmp_path / "none.zip")).failed(2, "There is no such pack", "none.zip")
    shell("verify", str(tmp_path)).failed(2, "This is not a file")
    # It would be read for ever.
    shell("verify", "/dev/zero").failed(2, "This is not a file")
    os.mkfifo(tmp_path / "pipe")
    shell("verify", str(tmp_path / "pipe")).failed(2, "This is not a file")


def test_a_pack_that_may_not_be_read_is_named(good: Path) -> None:
    good.chmod(0)
    done = beside("verify", str(good), before=as_anybody)
    assert done.code == 2
    assert "not readable" in done.err
    assert "Traceback" not in done.err
    good.chmod(0o600)
    assert beside("verify", str(good), before=as_anybody).code == 0


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_pack_is_not_trusted(tmp_path: Path, shell: Shell, data: bytes) -> None:
    path = tmp_path / "no.zip"
    path.write_bytes(data)
    shell("verify", str(path)).failed(5, "do not rely on it")


def test_a_pack_cut_at_any_tenth_is_not_trusted(good: Path, shell: Shell) -> None:
    whole = good.read_bytes()
    for tenth in range(10):
        good.write_bytes(whole[: len(whole) * tenth // 10])
        shell("verify", str(good)).failed(5)
    good.write_bytes(whole)
    assert shell("verify", str(good)).code == 0


def test_a_flipped_byte_is_named_by_its_file_though_the_archive_is_sound(
    good: Path, tmp_path: Path, shell: Shell
) -> None:
    files = contents(good)
    for name in files.keys() - {pack.MANIFEST, pack.SEALER}:
        broken = {**files, name: flipped(files[name])}
        path = archive_of(tmp_path / "flipped.zip", broken)
        shell("verify", str(path)).failed(5, "not what was sealed", f"Where: {name}.")


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "C:\\evil", "rows/../evil"])
def test_a_name_that_points_elsewhere_is_refused_and_nothing_is_written(
    good: Path, tmp_path: Path, shell: Shell, name: str
) -> None:
    path = archive_of(tmp_path / "trick.zip", {**contents(good), name: b"x"})
    before = sorted(tmp_path.rglob("*"))
    shell("verify", str(path)).failed(5, "not what was sealed")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_that_unfolds_is_refused_before_it_is_unfolded(
    good: Path, tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {**contents(good), "bomb": bytes(1 << 20)}
    path = archive_of(tmp_path / "bomb.zip", files, zipfile.ZIP_DEFLATED)

    def unfold(*_: object) -> bytes:
        raise AssertionError("it was unfolded")

    monkeypatch.setattr(zipfile.ZipFile, "read", unfold)
    shell("verify", str(path)).failed(5, "unfolds to more")


@pytest.mark.parametrize("name", [pack.MANIFEST, pack.SEALER])
@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'"x"', b"\xff", b"abc", b"null"])
def test_a_spoilt_seal_is_not_trusted(
    good: Path, tmp_path: Path, shell: Shell, name: str, data: bytes
) -> None:
    path = archive_of(tmp_path / "seal.zip", {**contents(good), name: data})
    shell("verify", str(path)).failed(5)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (pack.DECISION, b"{}"),
        (pack.DECISION, b"\xff"),
        (pack.DECISION, b'{"claim_id":"x","decided_on":"soon"}'),
        (pack.KEYS, b"{"),
        (pack.KEYS, b'{"a": 1}'),
        (pack.KEYS, b'{"a": {"public_key": "a"}}'),
        (pack.CODE, b"x"),
        (pack.CODE, b"{}"),
        (pack.CODE, b'{"version": "1", "files": []}'),
        (pack.RECORDS, b"PAR1"),
        (pack.RECORDS, pack.parquet(pa.table({"a": [1]}))),
        (CONTRACT, b"x: [1"),
        (CONTRACT, b"\xff\xfe"),
        (CONTRACT, b"[" * 5000),
        (CONTRACT, b"a: &a [1]\nb: [*a]"),
        (CONTRACT, b"id: erp.payment.v1\nversion: 1.0.0\nschema: [{}]\n"),
        (ROWS, b"none"),
        (ROWS, pack.parquet(pa.table({"a": [1]}))),
        (pack.ENTERPRISES, b"[]"),
        (pack.ENTERPRISES, b'{"a": {"kind": "king"}}'),
        *((name, None) for name in (pack.DECISION, pack.KEYS, pack.CODE, pack.RECORDS, ROWS)),
        (pack.ENTERPRISES, None),
    ],
)
def test_nonsense_under_a_good_seal_is_named_by_its_file(
    good: Path, shell: Shell, name: str, data: bytes | None
) -> None:
    """Anybody can seal anything with a key of their own."""
    files = {k: v for k, v in contents(good).items() if k not in {pack.MANIFEST, name}}
    files |= {pack.SEALER: base64.b64encode(STRANGER.public.raw)}
    files |= {} if data is None else {name: data}
    good.write_bytes(pack.write(files, {}, STRANGER))
    shell("verify", str(good)).failed(5, f"Where: {name}.")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("headers", [{"name": "ce_source", "value": None}]),
        ("headers", [None]),
        ("headers", None),
        ("partition", None),
        ("offset", None),
        ("body", None),
        ("broker_at", 1 << 62),
    ],
)
def test_a_record_that_is_not_whole_is_not_trusted(
    good: Path, shell: Shell, name: str, value: object
) -> None:
    files = {k: v for k, v in contents(good).items() if k != pack.MANIFEST}
    records = table(files, pack.RECORDS)
    if name == "broker_at":
        records = records.set_column(
            records.schema.get_field_index(name),
            name,
            pa.array([value] * records.num_rows, pa.int64()).cast(pa.timestamp("us", "UTC")),
        )
    else:
        records = with_column(records, name, [value] * records.num_rows)
    files |= {pack.SEALER: base64.b64encode(STRANGER.public.raw)}
    good.write_bytes(pack.write({**files, pack.RECORDS: pack.parquet(records)}, {}, STRANGER))
    shell("verify", str(good)).failed(5)


def test_a_key_without_a_zone_is_not_trusted(good: Path, shell: Shell) -> None:
    files = {k: v for k, v in contents(good).items() if k != pack.MANIFEST}
    files[pack.KEYS] = files[pack.KEYS].replace(b"+00:00", b"")
    files |= {pack.SEALER: base64.b64encode(STRANGER.public.raw)}
    good.write_bytes(pack.write(files, {}, STRANGER))
    shell("verify", str(good)).failed(5, f"Where: {pack.KEYS}.")


def test_the_stranger_s_seal_itself_is_sound_and_refused_only_for_its_key(
    good: Path, tmp_path: Path, shell: Shell
) -> None:
    files = {k: v for k, v in contents(good).items() if k != pack.MANIFEST}
    trusted = tmp_path / "county.pub"
    trusted.write_bytes(files[pack.SEALER])
    files[pack.SEALER] = base64.b64encode(STRANGER.public.raw)
    good.write_bytes(pack.write(files, {}, STRANGER))
    assert shell("verify", str(good)).code == 0
    shell("verify", str(good), "--key", str(trusted)).failed(5, "sealed by key")


@pytest.mark.parametrize("text", ["", "xx", "YWJj"])
def test_a_wrong_public_key_file_is_a_usage_error(
    good: Path, tmp_path: Path, shell: Shell, text: str
) -> None:
    path = tmp_path / "county.pub"
    path.write_text(text, "utf-8")
    shell("verify", str(good), "--key", str(path)).failed(2, "32 bytes in base64", "county.pub")
    shell("verify", str(good), "--key", str(tmp_path / "none")).failed(2, "cannot be read")

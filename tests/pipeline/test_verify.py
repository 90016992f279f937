"""Verify: a sound pack recomputes to the same bytes, and every forgery is noticed."""

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from contracts.loader import all_contracts
from contracts.schema import landing_schema
from kernel import canonical
from kernel.errors import ChecksFailedError, ConfigurationError, NplusxError, TamperingError
from kernel.evidence import SigningKey
from kernel.ids import KeyId
from pipeline import dossier as dossiers
from pipeline import pack, wiring
from pipeline.assess import assess, decisions
from pipeline.refine import refine
from pipeline.seal import pack_path, seal
from pipeline.verify import drill, verify
from policy.decision import decide
from registry.kinds import EnterpriseKind
from registry.people import Enterprise, save_enterprise
from tests.packs import archive_of, contents, flipped, resealed, table, with_column
from tests.pipeline.world import (
    AUTHORITY,
    CLAIM,
    FACTORY,
    INVOICES,
    SELLER,
    World,
    row,
    send_books,
    send_dossier,
)

Files = dict[str, bytes]
PAYMENTS = pack.rows_name("landing__erp_payment_v1")


def pack_of(world: World) -> Path:
    return pack_path(world.settings, decisions(world.store)[0])


@pytest.fixture
def sealed(played: World) -> Path:
    return pack_of(played)


def finish(world: World) -> Path:
    """Play what was sent to its end."""
    world.land()
    for stage in (refine, assess, seal):
        stage()
    return pack_of(world)


def test_a_pack_verifies_and_says_what_it_holds(sealed: Path, played: World) -> None:
    found = verify(sealed, wiring.county_key(played.settings).public)
    assert (found.claim_id, found.outcome, found.amount_cny) == (CLAIM, "granted", "50000.00")
    assert found.records > 0
    assert (found.unsigned_records, found.unsigned_from) == (0, ())


def test_the_drill_flips_a_byte_of_every_file_and_names_the_check_that_noticed(
    sealed: Path,
) -> None:
    noticed = drill(sealed)
    assert noticed.keys() == contents(sealed).keys()
    by_seal = {pack.MANIFEST, pack.SEALER}
    for name in noticed.keys() - by_seal:
        assert noticed[name] == "This file is not what was sealed."
    # Half of the flips leave base64 that still reads, and then the signature does not fit.
    for name in by_seal:
        assert re.search("seal|signature|not of its form", noticed[name]), noticed[name]


@pytest.mark.parametrize("share", [0, 0.3, 0.6, 1])
def test_a_flipped_byte_of_any_file_is_noticed_though_the_archive_is_sound(
    sealed: Path, tmp_path: Path, share: float
) -> None:
    files = contents(sealed)
    for name, data in files.items():
        broken = archive_of(tmp_path / "broken.zip", {**files, name: flipped(data, share)})
        with pytest.raises(TamperingError) as noticed:
            verify(broken)
        assert "not readable" not in str(noticed.value), name


def _column(name: str, value: object) -> Callable[[Files], None]:
    """Let the packed records say something else than their signed headers."""

    def change(files: Files) -> None:
        records = table(files, pack.RECORDS)
        said = with_column(records, name, [value] * records.num_rows)
        files[pack.RECORDS] = pack.parquet(said)

    return change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("topic", "nplusx.erp.delivery.v1"),
        ("key", b"somebody"),
        ("contract", "erp.delivery.v1"),
        ("enterprise", AUTHORITY),
        ("stream", "somebody"),
        ("epoch", "e9"),
        ("sequence", 9),
        ("digest", "0" * 64),
        ("key_id", ""),
        ("rows", 99),
        ("landed", 99),
        ("quarantined", 99),
        ("verdict", "partial"),
        ("_month", "1999-12"),
    ],
)
def test_a_record_says_what_its_signed_headers_and_body_say(
    sealed: Path, tmp_path: Path, played: World, name: str, value: object
) -> None:
    key = wiring.county_key(played.settings)
    with pytest.raises(TamperingError):
        verify(resealed(sealed, tmp_path, key, _column(name, value)), key.public)


def _richer(files: Files) -> None:
    files[pack.DECISION] = files[pack.DECISION].replace(b"50000.00", b"90000.00")


def _invented_row(files: Files) -> None:
    rows = table(files, PAYMENTS)
    doubled = [v * 2 for v in rows["paid_amount"].to_pylist()]
    files[PAYMENTS] = pack.parquet(with_column(rows, "paid_amount", doubled))


def _row_of_another_place(files: Files) -> None:
    rows = table(files, PAYMENTS)
    files[PAYMENTS] = pack.parquet(with_column(rows, "_offset", [999] * rows.num_rows))


def _row_beyond_the_record(files: Files) -> None:
    rows = table(files, PAYMENTS)
    files[PAYMENTS] = pack.parquet(with_column(rows, "_row", [999] * rows.num_rows))


def _lost_record(files: Files) -> None:
    files[pack.RECORDS] = pack.parquet(table(files, pack.RECORDS).slice(1))


def _record_twice(files: Files) -> None:
    records = table(files, pack.RECORDS)
    files[pack.RECORDS] = pack.parquet(pa.concat_tables([records, records.slice(0, 1)]))


def _other_body(files: Files) -> None:
    records = table(files, pack.RECORDS)
    bodies = [body + b" " for body in records["body"].to_pylist()]
    files[pack.RECORDS] = pack.parquet(with_column(records, "body", bodies))


def _other_code(files: Files) -> None:
    files[pack.CODE] = files[pack.CODE].replace(
        b'"policy/decision.py":"', b'"policy/decision.py":"0'
    )


def _others_row(files: Files) -> None:
    """Say that the rows are another factory's: lineage is as good as content."""
    rows = table(files, PAYMENTS)
    others = [SELLER] * rows.num_rows
    files[PAYMENTS] = pack.parquet(with_column(rows, "_enterprise", others))


def _looser_contract(files: Files) -> None:
    name = "contracts/erp.payment.v1.odcs.yaml"
    files[name] = files[name].replace(b"required: true", b"required: false")


def _lost_contract(files: Files) -> None:
    del files["contracts/erp.payment.v1.odcs.yaml"]


def _more_rows(files: Files) -> None:
    """Rows that nothing stands behind; empty, so that no byte of them can be flipped."""
    files["rows/landing__erp_bribe_v1.parquet"] = b""


def _no_commits(files: Files) -> None:
    del files[pack.COMMITS]


def _late_key(files: Files) -> None:
    files[pack.KEYS] = files[pack.KEYS].replace(b'"2020-01-01', b'"2030-01-01')


def _lost_keys(files: Files) -> None:
    files[pack.KEYS] = b"{}"


def _stripped(files: Files) -> None:
    """Take off every signature, and all that shows that there was one."""
    records = table(files, pack.RECORDS)
    bare = [
        [each for each in headers if each["name"] not in {"ce_keyid", "ce_signature"}]
        for headers in records["headers"].to_pylist()
    ]
    records = with_column(records, "headers", bare)
    files[pack.RECORDS] = pack.parquet(with_column(records, "key_id", [""] * records.num_rows))
    files[pack.KEYS] = b"{}"


def _registered(changes: dict[str, object]) -> Callable[[Files], None]:
    """Register every enterprise of the pack as something else."""

    def change(files: Files) -> None:
        known = canonical.loads(files[pack.ENTERPRISES])
        assert isinstance(known, dict)
        files[pack.ENTERPRISES] = canonical.dumps(
            {uscc: {**held, **changes} for uscc, held in known.items()}
        )

    return change


def _lost_enterprises(files: Files) -> None:
    files[pack.ENTERPRISES] = b"{}"


@pytest.mark.parametrize(
    "forgery",
    [
        (_richer, ChecksFailedError, "recomputed decision differs"),
        (_invented_row, TamperingError, "not the one that was signed"),
        (_row_of_another_place, TamperingError, "row"),
        (_row_beyond_the_record, TamperingError, "row"),
        (_lost_record, TamperingError, "no signed record"),
        (_record_twice, TamperingError, "occurs twice"),
        (_other_body, TamperingError, "body"),
        (_others_row, TamperingError, "not the one that was signed"),
        (_looser_contract, TamperingError, "not the one that decided"),
        (_more_rows, TamperingError, "neither more nor less"),
        (_no_commits, TamperingError, "missing or not of its form"),
        (_lost_contract, TamperingError, "contract is not in the pack"),
        (_late_key, TamperingError, "key is unknown, expired or revoked"),
        (_lost_keys, TamperingError, "key is unknown, expired or revoked"),
        (_stripped, TamperingError, "must be signed"),
        (_registered({"kind": "authority"}), TamperingError, "may not publish this contract"),
        (_lost_enterprises, TamperingError, "enterprise is not registered"),
        (_other_code, ConfigurationError, "other code"),
    ],
)
def test_an_insiders_forgery_is_noticed_though_the_seal_fits(
    sealed: Path,
    tmp_path: Path,
    played: World,
    forgery: tuple[Callable[[Files], None], type[NplusxError], str],
) -> None:
    change, error, says = forgery
    key = wiring.county_key(played.settings)
    with pytest.raises(error, match=says):
        verify(resealed(sealed, tmp_path, key, change), key.public)


def _decided_anew(files: Files) -> None:
    """Let the decision follow from the forged rows."""
    landing = {}
    for contract in all_contracts().values():
        name = pack.rows_name(contract.table)
        known = table(files, name) if name in files else landing_schema(contract).empty_table()
        landing[contract.table] = known
    sealed = canonical.loads(files[pack.DECISION])
    assert isinstance(sealed, dict)
    dossier = dossiers.build(CLAIM, dossiers.marts(wiring.engine(), landing))
    fresh = decide(dossier, date.fromisoformat(sealed["decided_on"]))
    files[pack.DECISION] = fresh.as_json()


def test_a_version_of_a_packed_object_may_not_be_left_out(world: World, tmp_path: Path) -> None:
    """The factory corrected a payment to one yuan; the insider leaves the correction out."""
    send_books(world)
    send_dossier(world)
    payment = "erp.payment.v1"
    corrected = row(
        payment, payment_id="PAY0", invoice_no=INVOICES[0], payee_uscc=SELLER,
        paid_amount="1.00", updated_at="2026-01-01 00:00:00Z",
    )  # fmt: skip
    world.send(payment, corrected)
    honest = finish(world)
    assert verify(honest).amount_cny != "50000.00"

    def leave_out(files: Files) -> None:
        rows = table(files, PAYMENTS)
        kept = [each != 1 for each in rows["paid_amount"].to_pylist()]
        assert not all(kept)
        files[PAYMENTS] = pack.parquet(rows.filter(pa.array(kept)))

    key = wiring.county_key(world.settings)
    with pytest.raises(TamperingError, match="left out"):
        verify(resealed(honest, tmp_path, key, leave_out, _decided_anew), key.public)


def test_an_invented_row_does_not_hide_behind_another_contracts_name(
    sealed: Path, tmp_path: Path, played: World
) -> None:
    key = wiring.county_key(played.settings)
    forged = resealed(
        sealed, tmp_path, key, _column("contract", "none"), _invented_row, _decided_anew
    )
    with pytest.raises(TamperingError):
        verify(forged, key.public)


def _unsigned(world: World) -> Path:
    """Play a county whose factory may send unsigned, and does."""
    save_enterprise(
        wiring.registry(world.settings),
        Enterprise(FACTORY, "工厂", EnterpriseKind.FACTORY, "330523", "C2130", True),
    )
    world.keys[FACTORY] = None
    send_books(world)
    send_dossier(world)
    return finish(world)


def test_unsigned_records_of_an_enterprise_that_may_are_counted_and_named(world: World) -> None:
    found = verify(_unsigned(world))
    assert found.amount_cny == "50000.00"
    assert 0 < found.unsigned_records < found.records
    assert found.unsigned_from == (FACTORY,)


def test_a_sender_that_names_no_epoch_may_count_anew(world: World) -> None:
    """As landing takes it: without an epoch a number proves no repeat."""
    world.epoch = ""
    send_books(world)
    world.sent.clear()
    payment = "erp.payment.v1"
    world.send(payment, row(payment, payment_id="P9", invoice_no=INVOICES[2], payee_uscc=SELLER))
    send_dossier(world)
    assert verify(finish(world)).amount_cny == "75000.00"


def test_who_holds_the_agents_keys_believes_no_others(
    world: World, sealed: Path, tmp_path: Path, played: World
) -> None:
    """The registration that allows unsigned records is the county's word, and so are the keys."""
    held = wiring.known(played.settings)
    assert verify(sealed, None, held).unsigned_records == 0
    with pytest.raises(TamperingError, match="must be signed"):
        verify(_unsigned(world), None, held)
    key = wiring.county_key(played.settings)
    forged = resealed(sealed, tmp_path, key, _stripped, _registered({"accepts_unsigned": True}))
    assert verify(forged, key.public).unsigned_from == tuple(sorted((FACTORY, AUTHORITY)))
    with pytest.raises(TamperingError, match="must be signed"):
        verify(forged, key.public, held)
    others = replace(held, keys={KeyId("0"): held.keys[next(iter(held.keys))]})
    with pytest.raises(TamperingError, match="key is unknown"):
        verify(sealed, key.public, others)


def test_what_an_enterprise_may_publish_is_not_taken_from_the_pack_when_keys_are_pinned(
    sealed: Path, tmp_path: Path, played: World
) -> None:
    """The county could register its own agent as the factory's, or a factory as an authority."""
    held = wiring.known(played.settings)
    factories = {
        uscc: replace(each, kind=EnterpriseKind.FACTORY) for uscc, each in held.enterprises.items()
    }
    with pytest.raises(TamperingError, match="may not publish this contract"):
        verify(sealed, None, replace(held, enterprises=factories))
    with pytest.raises(TamperingError, match="enterprise is not registered"):
        verify(sealed, None, replace(held, enterprises={}))


def test_a_strangers_seal_is_not_the_countys(sealed: Path, tmp_path: Path, played: World) -> None:
    stranger = SigningKey(b"\x07" * 32)

    def resign(files: Files) -> None:
        files[pack.SEALER] = base64.b64encode(stranger.public.raw)

    with pytest.raises(TamperingError, match="sealed by key"):
        verify(
            resealed(sealed, tmp_path, stranger, resign),
            wiring.county_key(played.settings).public,
        )

"""A packed record taken in anew: by today's contract, and by what an earlier one made of it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.loader import all_contracts, find, parse
from contracts.model import Contract
from kernel import canonical, clock
from kernel.errors import TamperingError
from pipeline import pack, wiring
from pipeline.assess import assess, decisions
from pipeline.refine import refine
from pipeline.replay import Replayed, replay, waive
from pipeline.seal import pack_path, seal
from pipeline.verify import verify
from tests.packs import contents, resealed, table, with_column
from tests.pipeline.world import INVOICES, SELLER, World, row, send_books, send_dossier
from warehouse import attempts

PAYMENT = "erp.payment.v1"
PAYMENTS = pack.rows_name(find(PAYMENT).table)


def finish(world: World) -> Path:
    world.land()
    for stage in (refine, assess, seal):
        stage()
    return pack_path(world.settings, decisions(world.store)[0])


def before(monkeypatch: pytest.MonkeyPatch, **changes: object) -> Contract:
    """Let landing know an earlier version of the contract; give today's."""
    today = find(PAYMENT)
    known = replace(today, **{"version": "1.0.0-rc1", "digest": "a" * 64, **changes})
    monkeypatch.setitem(all_contracts(), today.id, known)
    return today


def without(name: str) -> tuple[object, ...]:
    return tuple(each for each in find(PAYMENT).properties if each.name != name)


def land_before(world: World, monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """Land a whole claim, its payments by an earlier version of their contract."""
    send_books(world)
    send_dossier(world)
    today = before(monkeypatch, **changes)
    world.land()
    monkeypatch.setitem(all_contracts(), today.id, today)


def test_a_column_that_was_adopted_since_lay_beside_the_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_before(world, monkeypatch, properties=without("bank_reference"))
    sealed = finish(world)
    packed = table(contents(sealed), PAYMENTS).to_pylist()
    assert {(r["bank_reference"], r["_extra"]) for r in packed} == {
        (None, '{"bank_reference":"BR0001"}')
    }
    found = verify(sealed)
    assert found.amount_cny == "50000.00"
    assert found.earlier == (
        "2 rows of erp.payment.v1 landed by version 1.0.0-rc1, which did not know bank_reference",
    )


def test_what_lay_beside_the_row_must_be_what_was_signed(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    land_before(world, monkeypatch, properties=without("bank_reference"))
    key = wiring.county_key(world.settings)
    sealed = finish(world)

    def forged(said: str):
        def change(files: dict[str, bytes]) -> None:
            rows = table(files, PAYMENTS)
            files[PAYMENTS] = pack.parquet(with_column(rows, "_extra", [said] * rows.num_rows))

        return change

    for said in ('{"bank_reference":"BR0002"}', '{"payment_id":"PAY0"}', '{"remark":"1"}', "{"):
        with pytest.raises(TamperingError, match=r"not the one that was signed|not of its form"):
            verify(resealed(sealed, tmp_path, key, forged(said)), key.public)


def test_what_landed_by_todays_contract_lies_nowhere_beside_it(
    world: World, tmp_path: Path
) -> None:
    """The county could take a value out of its column and say that nobody knew it then."""
    send_books(world)
    send_dossier(world)
    key = wiring.county_key(world.settings)

    def hidden(files: dict[str, bytes]) -> None:
        rows = table(files, PAYMENTS)
        rows = with_column(rows, "bank_reference", [None] * rows.num_rows)
        beside = ['{"bank_reference":"BR0001"}'] * rows.num_rows
        files[PAYMENTS] = pack.parquet(with_column(rows, "_extra", beside))

    with pytest.raises(TamperingError, match="not the one that was signed"):
        verify(resealed(finish(world), tmp_path, key, hidden), key.public)


def test_what_a_tightened_contract_would_refuse_landed_by_the_earlier_one(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    land_before(world, monkeypatch)
    text = find(PAYMENT).text.replace("version: 1.0.0", "version: 1.1.0")
    tight = parse(text.replace("minimum: '2000-01-01'", "minimum: '2025-01-01'", 1), PAYMENT)
    monkeypatch.setitem(all_contracts(), tight.id, tight)
    sealed = finish(world)
    found = verify(sealed)
    assert found.amount_cny == "50000.00"
    (said,) = found.earlier
    assert said.startswith("2 rows of erp.payment.v1 landed by version 1.0.0-rc1; by 1.1.0 they")
    assert said.endswith("would be refused: paid_on.minimum")
    key = wiring.county_key(world.settings)

    def by_todays(files: dict[str, bytes]) -> None:
        files[pack.COMMITS] = files[pack.COMMITS].replace(b"a" * 64, tight.digest.encode())

    with pytest.raises(TamperingError, match="landed"):
        verify(resealed(sealed, tmp_path, key, by_todays), key.public)

    def unsaid(files: dict[str, bytes]) -> None:
        files[pack.COMMITS] = canonical.dumps([])

    with pytest.raises(TamperingError):
        verify(resealed(sealed, tmp_path, key, unsaid), key.public)


def _loosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next version of the contract no longer ask for a check digit."""
    asked = """        customProperties:
          - property: format
            value: uscc
"""
    text = find(PAYMENT).text.replace("version: 1.0.0", "version: 1.1.0")
    assert asked in text
    newer = parse(text.replace(asked, ""), PAYMENT)
    monkeypatch.setitem(all_contracts(), newer.id, newer)


def _paid(world: World, *payees: str) -> None:
    """Send a claim whose last payment comes so often in one record."""
    send_books(world)
    send_dossier(world)
    same = {"payment_id": "PAY2", "invoice_no": INVOICES[2]}
    world.send(PAYMENT, *(row(PAYMENT, **same, payee_uscc=payee) for payee in payees))
    world.land()


BAD = "91330523719500014X"


@pytest.mark.parametrize("payees", [(BAD, SELLER), (SELLER, BAD)])
def test_the_twin_of_a_row_that_landed_stays_where_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch, payees: tuple[str, ...]
) -> None:
    _paid(world, *payees)
    _loosen(monkeypatch)
    assert replay(PAYMENT) == Replayed(accepted=0, rejected=1)
    assert verify(finish(world)).amount_cny == "75000.00"
    (held,) = attempts.waiting(world.store, clock.now())
    assert held["row"] == payees.index(BAD)


def test_of_twins_that_wait_the_first_lands(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _paid(world, BAD, BAD)
    _loosen(monkeypatch)
    assert replay(PAYMENT) == Replayed(accepted=1, rejected=1)
    (held,) = attempts.waiting(world.store, clock.now())
    assert held["row"] == 1
    assert verify(finish(world)).waived == ()


def test_a_replay_after_a_promise_was_tightened_too_counts_what_had_landed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_books(world)
    send_dossier(world)
    early = row(PAYMENT, payment_id="PAY8", invoice_no=INVOICES[2], paid_on="2010-01-01")
    late = row(PAYMENT, payment_id="PAY2", invoice_no=INVOICES[2], payee_uscc=BAD)
    world.send(PAYMENT, early, late)
    world.land()
    _loosen(monkeypatch)
    text = find(PAYMENT).text.replace("minimum: '2000-01-01'", "minimum: '2015-01-01'", 1)
    monkeypatch.setitem(all_contracts(), PAYMENT, parse(text, PAYMENT))
    assert replay(PAYMENT).accepted == 1
    found = verify(finish(world))
    assert [each.rpartition(": ")[2] for each in found.earlier] == ["paid_on.minimum"]


@pytest.mark.parametrize(("who", "why"), [("", "seen"), ("engineer", " "), (None, "seen")])
def test_a_waiver_in_a_pack_names_somebody_and_gives_a_reason(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    who: str | None,
    why: str,
) -> None:
    send_books(world)
    send_dossier(world)
    good = row(PAYMENT, payment_id="PAY2", invoice_no=INVOICES[2], payee_uscc=SELLER)
    world.send(PAYMENT, good, row(PAYMENT, payment_id="PAY3", payee_uscc=BAD))
    world.land()
    (held,) = attempts.waiting(world.store, clock.now())
    waive([str(held["id"])], "engineer", "seen", clock.now() + timedelta(days=1))
    _loosen(monkeypatch)
    key = wiring.county_key(world.settings)
    sealed = finish(world)
    assert len(verify(sealed, key.public).waived) == 1

    def nameless(files: dict[str, bytes]) -> None:
        (told,) = canonical.loads(files[pack.HELD])
        told["waiver"] |= {"who": who, "why": why}
        files[pack.HELD] = canonical.dumps([told])

    with pytest.raises(TamperingError, match="nobody"):
        verify(resealed(sealed, tmp_path, key, nameless), key.public)

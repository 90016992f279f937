"""A contract against another version of it: what recently came, judged anew."""

from pathlib import Path

import pytest

from contracts.loader import find, parse
from contracts.model import Contract
from pipeline.contract_diff import replay
from tests.pipeline.world import World, row

PAYMENT = "erp.payment.v1"


def version(*change: tuple[str, str]) -> Contract:
    text = find(PAYMENT).text
    for before, after in change:
        assert before in text
        text = text.replace(before, after, 1)
    return parse(text, "new.yaml")


NARROWER = ("'^[A-Z]{3}$'", "'^CNY$'")
WIDER = ("'^[A-Z]{3}$'", "'^[A-Za-z]{3}$'")
ADOPTED = (
    "      - name: updated_at\n",
    """      - name: remark
        businessName: 备注
        description: "Remark."
        logicalType: string
        physicalType: string
        classification: internal
        logicalTypeOptions:
          maxLength: 3
        examples: ['x']
      - name: updated_at
""",
)


@pytest.fixture
def sent(world: World) -> World:
    """Three payments land, one of them in dollars; two wait in quarantine."""
    world.send(
        PAYMENT,
        row(PAYMENT, payment_id="P1"),
        row(PAYMENT, payment_id="P2", currency="USD"),
        row(PAYMENT, payment_id="P3", currency="cny"),
        row(PAYMENT, payment_id="P4", currency="cny", paid_on=None),
    )
    world.send(PAYMENT, row(PAYMENT, payment_id="P1"))
    world.land()
    return world


def test_nothing_changes_sides_under_the_same_version(sent: World) -> None:
    found = replay(find(PAYMENT), version(), 30, sent.settings)
    assert (found.refused.read, found.refused.changed) == (3, 0)
    assert (found.freed.read, found.freed.changed) == (2, 0)


def test_a_narrower_version_names_the_rows_that_it_would_refuse(sent: World) -> None:
    refused = replay(find(PAYMENT), version(NARROWER), 30, sent.settings).refused
    assert refused.changed == 1
    assert refused.reasons == {"currency.pattern": 1}
    assert [(each.key, each.reasons) for each in refused.examples] == [
        ("P2", ("currency.pattern",))
    ]
    assert refused.examples[0].place.startswith(f"nplusx.{PAYMENT}/")


def test_a_wider_version_names_the_rows_that_it_would_free_and_only_these(sent: World) -> None:
    freed = replay(find(PAYMENT), version(WIDER), 30, sent.settings).freed
    assert freed.changed == 1
    assert freed.reasons == {"currency.pattern": 1}
    assert '"P3"' in freed.examples[0].key


def test_a_column_that_is_adopted_is_judged_by_what_was_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Landing keeps what nobody promised; the version that adopts it is told what it would say."""
    grown = version(ADOPTED)
    monkeypatch.setattr("tests.pipeline.world.find", lambda _: grown)
    for number, remark in enumerate(("ok", "too long", None)):
        world.send(PAYMENT, {**row(PAYMENT, payment_id=f"P{number}"), "remark": remark})
    world.land()
    refused = replay(find(PAYMENT), grown, 30, world.settings).refused
    assert [(each.key, each.reasons) for each in refused.examples] == [("P1", ("remark.length",))]


def test_only_recent_rows_are_judged(sent: World) -> None:
    """The memory bus's clock moves on by a second a record: the last one came alone."""
    found = replay(find(PAYMENT), version(NARROWER), 0, sent.settings)
    assert (found.refused.read, found.freed.read) == (1, 0)


def test_deletes_stay_deletes(world: World) -> None:
    world.send(PAYMENT, {**row(PAYMENT), "currency": "USD", "_op": "delete"})
    world.land()
    found = replay(find(PAYMENT), version(NARROWER), 30, world.settings)
    assert (found.refused.read, found.refused.changed) == (1, 0)


def test_without_any_table_there_is_nothing_to_judge(world: World, tmp_path: Path) -> None:
    found = replay(find(PAYMENT), version(NARROWER), 30, world.settings)
    assert (found.refused.read, found.freed.read) == (0, 0)

"""Which claims wait for a broken promise: those that it is about, until somebody takes it on."""

import pytest

from kernel import clock
from pipeline import promises
from pipeline.assess import assess
from pipeline.doctor import examine, waive
from pipeline.refine import refine
from pipeline.seal import seal
from tests.pipeline.world import CLAIM, FACTORY, SELLER, World, row, send_books, send_dossier
from warehouse import words

INVOICE = "erp.purchase_invoice.v1"


@pytest.mark.parametrize(
    ("contract", "column", "about", "is_held"),
    [
        ("retrofit.invoice_line.v1", "item_text", {}, True),
        ("retrofit.invoice_line.v1", "item_text", {"claim_id": "CL-9"}, False),
        ("retrofit.project.v1", "title", {"enterprise_uscc": FACTORY}, True),
        ("retrofit.project.v1", "title", {"project_id": "P-9"}, False),
        ("gov.enterprise.v1", "name", {"enterprise_uscc": FACTORY}, True),
        ("gov.enterprise.v1", "name", {"enterprise_uscc": SELLER}, False),
    ],
)
def test_what_the_county_says_twice_holds_the_claims_that_it_is_about(
    world: World, contract: str, column: str, about: dict[str, object], is_held: bool
) -> None:
    send_books(world)
    send_dossier(world)
    for text in ("甲", "乙"):
        world.send(contract, row(contract, **{**about, column: text}))
    world.land()
    refine()
    assert (CLAIM in assess()["held"]) == is_held


def test_what_is_about_no_claim_by_name_holds_all_of_the_county() -> None:
    about = {"claim_id": CLAIM, "project_id": "P", "enterprise_uscc": FACTORY}
    finding = {"contract": "retrofit.invoice_line.v1", "enterprise": "the county"}
    assert promises.concerns({**finding, "key": '{"different":200}'}, about)
    assert not promises.concerns({**finding, "key": '{"claim_id":"CL-9"}'}, about)
    assert not promises.concerns({**finding, "contract": INVOICE, "key": "{}"}, about)


def test_a_claim_whose_promise_broke_after_it_was_decided_is_not_sealed(world: World) -> None:
    send_books(world)
    send_dossier(world)
    world.land()
    refine()
    assert assess()["decided"] == [CLAIM]
    for text in ("螺丝", "软件"):
        world.send(INVOICE, row(INVOICE, invoice_id="PX", item_text=text, buyer_uscc=FACTORY))
    world.land()
    told = seal()
    assert told["sealed"] == []
    assert "invoice_id.version" in told["held"][CLAIM]
    ids = [each.id for each in examine(world.settings).unexplained]
    waive(ids, words.Word("auditor", "known", clock.now()), world.settings)
    assert seal()["sealed"] == [CLAIM]

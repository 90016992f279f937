"""Refine: current state, deletes honoured, rebuilt only when something changed."""

from decimal import Decimal

from pipeline.refine import behind, refine
from tests.pipeline.world import World, row


def _core(world: World, table: str) -> list[dict[str, object]]:
    return world.store.open(table).dataset().to_table().to_pylist()


def test_the_newest_version_of_a_key_is_the_current_one(world: World) -> None:
    order = "erp.sales_order.v1"
    world.send(order, row(order, status="draft"))
    world.send(order, row(order, status="closed", updated_at="2024-07-01T00:00:00Z"))
    world.send(order, row(order, status="approved", updated_at="2024-06-15T00:00:00Z"))
    world.land()
    refine()
    assert [each["status"] for each in _core(world, "core__erp_sales_order")] == ["closed"]


def test_a_deleted_object_is_gone_from_the_current_state_and_kept_in_landing(world: World) -> None:
    order = "erp.sales_order.v1"
    world.send(order, row(order), row(order, order_id="SO2"))
    deleted = row(order, order_id="SO2", updated_at="2025-01-01T00:00:00Z")
    world.send(order, {**deleted, "_op": "delete"})
    world.land()
    refine()
    assert [each["order_id"] for each in _core(world, "core__erp_sales_order")] == ["SO1"]
    assert len(_core(world, "landing__erp_sales_order_v1")) == 3


def test_a_delete_that_carries_its_key_only_is_honoured(world: World) -> None:
    order = "erp.sales_order.v1"
    world.send(order, row(order, updated_at="2020-01-01T00:00:00Z"))
    world.send(order, {"order_id": "SO1", "_op": "delete"})
    world.land()
    refine()
    assert _core(world, "core__erp_sales_order") == []


def test_what_has_not_changed_is_left_alone(world: World) -> None:
    world.send("erp.payment.v1", row("erp.payment.v1"))
    world.land()
    first = refine()
    assert refine() == {"tables": first["tables"], "renewed": []}
    world.send("erp.payment.v1", row("erp.payment.v1", payment_id="PAY2"))
    world.land()
    renewed = refine()["renewed"]
    assert renewed == ["core__erp_payment", "mart__claim_payment"]


def test_it_is_behind_whatever_landed_until_it_ran(world: World) -> None:
    assert behind() == {}
    world.send("erp.payment.v1", row("erp.payment.v1"))
    world.land()
    at = world.store.open("landing__erp_payment_v1").version
    assert behind() == {"landing__erp_payment_v1": at}
    refine()
    assert behind() == {}
    world.send("erp.payment.v1", row("erp.payment.v1", payment_id="PAY2"))
    world.land()
    assert behind() == {"landing__erp_payment_v1": at + 1}


def test_returns_count_against_what_was_delivered(world: World) -> None:
    world.send("erp.sales_order.v1", row("erp.sales_order.v1"))
    world.send("erp.sales_order_line.v1", row("erp.sales_order_line.v1"))
    world.send(
        "erp.delivery.v1",
        row("erp.delivery.v1"),
        row("erp.delivery.v1", delivery_line_id="DL2", delivered_qty="-4"),
    )
    world.land()
    refine()
    (line,) = _core(world, "mart__order_line_delivery")
    assert line["on_time_qty"] == Decimal(6)


def test_a_contract_that_nobody_sends_and_no_mart_reads_makes_no_table(world: World) -> None:
    refine()
    assert not world.store.exists("landing__mes_work_order_v1")
    assert world.store.exists("mart__order_line_delivery")
    world.send("mes.work_order.v1", row("mes.work_order.v1"))
    world.land()
    assert refine()["renewed"] == ["core__mes_work_order"]
    assert [each["work_order_id"] for each in _core(world, "core__mes_work_order")] == ["WO1"]

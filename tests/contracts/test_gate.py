"""The gate: every promise of every contract, at, below and above its edge."""

import pytest

from contracts import sample
from contracts.decode import decode_arrow, decode_json
from contracts.gate import judge
from contracts.loader import all_contracts, find
from contracts.model import Contract
from kernel import canonical
from tests.rows import arrow_rows, ipc, valid_row

CONTRACTS = sorted(all_contracts().values(), key=lambda each: each.id)


def reasons(contract: Contract, *rows: dict[str, object]) -> dict[int, tuple[str, ...]]:
    """Send rows as JSON, as any vendor may, and give the reason codes by row."""
    decoded = decode_json(canonical.dumps(list(rows)), contract, lines=False)
    verdict = judge(decoded.rows, contract, decoded.faults)
    found = {**verdict.refused, **verdict.warned}
    return {row: tuple(each.code for each in why) for row, why in sorted(found.items())}


def codes(contract: Contract, column: str, value: object) -> tuple[str, ...]:
    return reasons(contract, valid_row(contract, **{column: value})).get(0, ())


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.id)
def test_the_examples_of_a_contract_keep_its_promises(contract: Contract) -> None:
    assert reasons(contract, valid_row(contract)) == {}
    body = ipc(arrow_rows(contract, [valid_row(contract)]))
    decoded = decode_arrow(body, contract)
    assert judge(decoded.rows, contract, decoded.faults).accepted().to_pylist() == [0]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.id)
def test_each_promise_of_each_column_at_below_and_above_its_edge(contract: Contract) -> None:
    tried = list(sample.cases(contract))
    rows = [{**sample.valid_row(contract, n), c.column: c.value} for n, c in enumerate(tried)]
    found = reasons(contract, *rows)
    for number, case in enumerate(tried):
        assert found.get(number, ()) == case.reasons, f"{case.column}={case.value!r}"


def test_a_wrong_check_digit_is_a_format_fault() -> None:
    contract = find("erp.purchase_invoice.v1")
    assert codes(contract, "seller_uscc", "91330523719500014X") == ("seller_uscc.format",)
    assert codes(contract, "seller_uscc", "9133052371950001U") == (
        "seller_uscc.length",
        "seller_uscc.format",
    )


@pytest.mark.parametrize(
    "number",
    [
        "\uff12" + "4" * 19,
        "24332000000000000001\n",
        "4" * 19 + "\u0967",
        "2433",
    ],
)
def test_an_invoice_number_is_twenty_ascii_digits_and_nothing_else(number: str) -> None:
    assert codes(find("erp.purchase_invoice.v1"), "invoice_no", number) == ("invoice_no.pattern",)


def test_all_reasons_of_a_row_are_listed_not_only_the_first() -> None:
    contract = find("erp.sales_order_line.v1")
    row = valid_row(contract, ordered_qty="-1", promised_on=None, line_net_amount="-0.01")
    assert set(reasons(contract, row)[0]) == {
        "promised_on.required",
        "ordered_qty.minimum",
        "line_net_amount.minimum",
    }


def test_the_same_version_of_a_key_twice_is_a_repeat_and_another_version_is_history() -> None:
    contract = find("erp.sales_order.v1")
    first = valid_row(contract)
    later = valid_row(contract, updated_at="2024-06-02T08:00:00Z")
    assert reasons(contract, first, later) == {}
    assert reasons(contract, first, later, dict(first)) == {2: ("order_id.unique",)}


def test_a_refused_row_does_not_make_its_good_twin_a_repeat() -> None:
    contract = find("erp.sales_order.v1")
    good, bad = valid_row(contract), valid_row(contract, currency="cny")
    assert reasons(contract, bad, good, bad, good) == {
        0: ("currency.pattern",),
        2: ("currency.pattern", "order_id.unique"),
        3: ("order_id.unique",),
    }


def test_deletes_without_a_version_repeat_one_another() -> None:
    contract = find("erp.sales_order.v1")
    gone = {"order_id": "SO1", "_op": "delete"}
    assert reasons(contract, gone, valid_row(contract), gone) == {2: ("order_id.unique",)}


def test_a_delete_is_checked_on_its_key_only() -> None:
    contract = find("erp.sales_order.v1")
    assert reasons(contract, {"order_id": "SO1", "_op": "delete"}) == {}
    assert reasons(contract, {"_op": "delete"}) == {0: ("order_id.required",)}
    assert reasons(contract, valid_row(contract, _op="merge")) == {0: ("operation",)}


def test_a_number_with_more_digits_than_promised_is_not_rounded_in_silence() -> None:
    contract = find("erp.payment.v1")
    assert codes(contract, "paid_amount", "0.005") == ("paid_amount.type",)
    assert codes(contract, "paid_amount", "1e400") == ("paid_amount.type",)
    assert codes(contract, "paid_amount", "NaN") == ("paid_amount.type",)


def test_columns_that_nobody_promised_are_kept_beside_the_row() -> None:
    contract = find("erp.payment.v1")
    body = canonical.dumps([valid_row(contract, remark="分期"), valid_row(contract)])
    decoded = decode_json(body, contract, lines=False)
    assert decoded.extra is not None
    assert decoded.extra.to_pylist() == ['{"remark":"分期"}', None]

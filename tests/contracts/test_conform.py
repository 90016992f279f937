"""Columns of bodies become those that a contract promises, and no value another."""

from decimal import Decimal

import pyarrow as pa
import pytest

from contracts.decode import Decoded, decode_arrow, decode_json, read_json_singles
from contracts.loader import find
from kernel import canonical
from tests.rows import arrow_rows, ipc, valid_row

CONTRACT = find("erp.payment.v1")
GOOD = arrow_rows(CONTRACT, [valid_row(CONTRACT)])


def faults(decoded: Decoded) -> dict[int, list[str]]:
    return {row: [each.code for each in why] for row, why in decoded.faults.items()}


# Arrow would read these as 0, -1, 500 and others: by its 128 bits, or by a scale that it cuts.
WRAPPED = [
    "1" + "0" * 150,
    "9" * 5000,
    str(2**128 + 500),
    str(2**128 // 100 + 1),
    f"{2**128 * 100 + 100}.00",
    "8e-41",
    "79.8273e-37",
    "0.00000000000000000000000000000001e-9",
    "1e-0000000000000000000000000000045",
]


@pytest.mark.parametrize("sent", ["arrow", "number", "text", "many"])
@pytest.mark.parametrize("amount", WRAPPED)
def test_no_number_is_read_as_another(sent: str, amount: str) -> None:
    line = canonical.dumps(valid_row(CONTRACT, paid_amount="@"))
    if sent == "arrow":
        table = GOOD.drop_columns(["paid_amount"]).slice(0, 1)
        body = ipc(table.append_column("paid_amount", pa.array([amount])))
        decoded = decode_arrow(body, CONTRACT)
    elif sent == "many":
        bodies = [line.replace(b'"@"', amount.encode())] * 3
        found = read_json_singles(bodies, CONTRACT)
        assert found is None
        return
    else:
        spelt = amount if sent == "number" else f'"{amount}"'
        body = line.replace(b'"@"', spelt.encode())
        decoded = decode_json(body, CONTRACT, lines=False)
    assert faults(decoded) == {0: ["paid_amount.type"]}


WIDE = {
    "by the scale of 10": (pa.decimal128(38, 0), Decimal(4 * 10**28)),
    "by 256 bits": (pa.decimal256(76, 0), Decimal(2**256 // 10**10 + 1)),
}


@pytest.mark.parametrize("case", WIDE)
def test_no_wide_decimal_is_read_as_another(case: str) -> None:
    statistic = find("gov.region_statistic.v1")
    given, number = WIDE[case]
    (column,) = (each for each in statistic.properties if each.physical == "decimal(38,10)")
    table = arrow_rows(statistic, [valid_row(statistic)]).drop_columns([column.name])
    decoded = decode_arrow(
        ipc(table.append_column(column.name, pa.array([number], given))), statistic
    )
    assert faults(decoded) == {0: [f"{column.name}.type"]}


@pytest.mark.parametrize("amount", ["1E2", "+5", "1.5e3", "1250e-1", "0" * 20 + "7.50" + "0" * 10])
def test_a_number_may_be_spelt_in_several_ways(amount: str) -> None:
    table = GOOD.drop_columns(["paid_amount"]).slice(0, 1)
    body = ipc(table.append_column("paid_amount", pa.array([amount])))
    decoded = decode_arrow(body, CONTRACT)
    assert faults(decoded) == {}
    assert decoded.rows["paid_amount"][0].as_py() == Decimal(amount)

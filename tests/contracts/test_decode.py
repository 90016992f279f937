"""Bodies from anywhere: what cannot be read is refused whole, what does not fit is named."""

import io

import pyarrow as pa
import pytest

from contracts.decode import Decoded, UndecodableError, decode_arrow, decode_json
from contracts.loader import find
from contracts.violations import Kind
from kernel import canonical
from tests.rows import arrow_rows, ipc, valid_row

CONTRACT = find("erp.payment.v1")
GOOD = arrow_rows(CONTRACT, [valid_row(CONTRACT), valid_row(CONTRACT, payment_id="PAY2")])


def faults(decoded: Decoded) -> dict[int, list[str]]:
    return {row: [each.code for each in why] for row, why in decoded.faults.items()}


def with_column(name: str, values: pa.Array) -> pa.Table:
    place = GOOD.schema.get_field_index(name)
    return GOOD.set_column(place, name, values)


@pytest.mark.parametrize(
    "body",
    [b"", b"\x00" * 64, b"not arrow at all", ipc(GOOD)[:200], b"ARROW1\x00\x00" + ipc(GOOD)],
    ids=["empty", "zeros", "text", "cut", "other magic"],
)
def test_bytes_that_are_no_arrow_stream_are_undecodable(body: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode_arrow(body, CONTRACT)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[1]", b'"x"', b"[" * 5000, b'[{"a":1},]', b"NaN", b"null"]
)
def test_bytes_that_are_no_json_rows_are_undecodable(body: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode_json(body, CONTRACT, lines=False)


def test_one_column_name_twice_is_undecodable() -> None:
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["payment_id", "payment_id"])
    with pytest.raises(UndecodableError):
        decode_arrow(ipc(twice), CONTRACT)


def test_compressed_and_dictionary_columns_are_read() -> None:
    coded = with_column("currency", pa.array(["CNY", "CNY"]).dictionary_encode())
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, coded.schema, options=options) as stream:
        stream.write_table(coded)
    decoded = decode_arrow(sink.getvalue(), CONTRACT)
    assert decoded.rows["currency"].to_pylist() == ["CNY", "CNY"]
    assert decoded.faults == {}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("payment_id", pa.array([1, 2])),
        ("payment_id", pa.array([b"PAY1", b"PAY2"])),
        ("updated_at", pa.array([0, 1], pa.timestamp("us"))),
        ("paid_amount", pa.array([[1], [2]])),
    ],
    ids=["number as text", "bytes as text", "instant without zone", "list as number"],
)
def test_a_column_of_another_type_is_a_fault_of_each_row(name: str, values: pa.Array) -> None:
    decoded = decode_arrow(ipc(with_column(name, values)), CONTRACT)
    assert faults(decoded) == {0: [f"{name}.type"], 1: [f"{name}.type"]}


def test_a_cast_that_loses_nothing_is_made_and_one_that_does_is_not() -> None:
    wide = pa.array(["113000.00", "0.01"]).cast(pa.decimal128(30, 2))
    assert decode_arrow(ipc(with_column("paid_amount", wide)), CONTRACT).faults == {}
    finer = pa.array(["113000.00", "0.001"]).cast(pa.decimal128(30, 3))
    decoded = decode_arrow(ipc(with_column("paid_amount", finer)), CONTRACT)
    assert faults(decoded) == {1: ["paid_amount.type"]}


def test_a_missing_column_is_empty_and_an_unknown_one_is_kept() -> None:
    table = GOOD.drop_columns(["bank_reference"]).append_column("note", pa.array(["甲", None]))
    decoded = decode_arrow(ipc(table), CONTRACT)
    assert decoded.rows["bank_reference"].null_count == 2
    assert decoded.extra == ('{"note":"甲"}', None)


def test_lines_of_json_are_rows_and_blank_ones_are_none() -> None:
    line = canonical.dumps(valid_row(CONTRACT))
    decoded = decode_json(b"\n" + line + b"\r\n\n" + line + b"\n", CONTRACT, lines=True)
    assert decoded.rows.num_rows == 2


def test_the_raw_row_is_what_was_sent() -> None:
    sent = valid_row(CONTRACT, paid_amount="x", 备注={"deep": [1, None]})
    decoded = decode_json(canonical.dumps([sent]), CONTRACT, lines=False)
    assert canonical.loads(decoded.raw(0)) == sent
    assert faults(decoded) == {0: [f"paid_amount.{Kind.TYPE}"]}


def test_a_null_character_in_a_text_is_no_way_past_the_types() -> None:
    decoded = decode_json(
        canonical.dumps([valid_row(CONTRACT, bank_reference="\x00wrong")]), CONTRACT, lines=False
    )
    assert faults(decoded) == {0: ["bank_reference.type"]}

"""Bodies from anywhere: what cannot be read is refused whole, what does not fit is named."""

import io
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest

from contracts.decode import (
    Decoded,
    UndecodableError,
    decode_arrow,
    decode_json,
    read_json,
    read_json_singles,
    settle,
)
from contracts.gate import judge
from contracts.loader import find
from contracts.violations import Kind
from kernel import canonical
from tests.rows import arrow_rows, ipc, valid_row

CONTRACT = find("erp.payment.v1")
GOOD = arrow_rows(CONTRACT, [valid_row(CONTRACT), valid_row(CONTRACT, payment_id="PAY2")])


def faults(decoded: Decoded) -> dict[int, list[str]]:
    return {row: [each.code for each in why] for row, why in decoded.faults.items()}


def extras(decoded: Decoded) -> list[str | None]:
    assert decoded.extra is not None
    found: list[str | None] = decoded.extra.to_pylist()
    return found


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
    "body", [b"", b"{", b"\xff", b'"x"', b"[" * 5000, b"[1", b"[]x", b'[{"a":1},]', b"NaN", b"null"]
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
        ("paid_amount", pa.array([0.5, 2.0])),
        ("paid_on", pa.array([0, 1], pa.timestamp("us", "UTC"))),
        ("paid_on", pa.array([19000, 19001], pa.int32())),
        ("updated_at", pa.array([19000, 19001], pa.date32())),
        ("updated_at", pa.array([0, 1], pa.time64("us"))),
        ("updated_at", pa.array([1, 2])),
    ],
    ids=lambda each: each if isinstance(each, str) else str(each.type),
)
def test_a_column_of_another_type_is_a_fault_of_each_row(name: str, values: pa.Array) -> None:
    decoded = decode_arrow(ipc(with_column(name, values)), CONTRACT)
    assert faults(decoded) == {0: [f"{name}.type"], 1: [f"{name}.type"]}


@pytest.mark.parametrize("view", [pa.string_view(), pa.binary_view()])
def test_columns_of_views_are_read_as_what_they_show(view: pa.DataType) -> None:
    texts = ["中" * 30, None]
    given = pa.array([t and t.encode() for t in texts] if view == pa.binary_view() else texts, view)
    table = with_column("bank_reference", given).append_column("note", given)
    decoded = decode_arrow(ipc(table), CONTRACT)
    if view == pa.string_view():
        assert decoded.faults == {}
        assert decoded.rows["bank_reference"].to_pylist() == texts
        assert extras(decoded) == [canonical.dumps({"note": texts[0]}).decode(), None]
    else:
        # As any column of bytes.
        assert faults(decoded) == {0: ["bank_reference.type"]}


@pytest.mark.parametrize("view", [pa.string_view(), pa.binary_view()])
def test_views_of_one_long_text_are_no_way_to_fill_the_memory(view: pa.DataType) -> None:
    """Each row is sixteen bytes that point to the same mebibyte."""
    one = pa.array(["x" * (1 << 20)], view)
    told = memoryview(one.buffers()[1]).tobytes()
    rows = 20_000
    many = pa.Array.from_buffers(view, rows, [None, pa.py_buffer(told * rows), one.buffers()[2]])
    with pytest.raises(UndecodableError, match="unfolds"):
        decode_arrow(ipc(pa.table({"payment_id": many})), CONTRACT)


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
    assert extras(decoded) == ['{"note":"甲"}', None]


def test_lines_of_json_are_rows_and_blank_ones_are_none() -> None:
    line = canonical.dumps(valid_row(CONTRACT))
    decoded = decode_json(b"\n" + line + b"\r\n\n" + line + b"\n", CONTRACT, lines=True)
    assert decoded.rows.num_rows == 2


def test_the_raw_row_is_what_was_sent() -> None:
    sent = valid_row(CONTRACT, paid_amount="x", 备注={"deep": [1, None]})
    decoded = decode_json(canonical.dumps([sent]), CONTRACT, lines=False)
    assert canonical.loads(decoded.raw([0])[0]) == sent
    assert faults(decoded) == {0: [f"paid_amount.{Kind.TYPE}"]}


def test_a_null_character_in_a_text_is_no_way_past_the_types() -> None:
    decoded = decode_json(
        canonical.dumps([valid_row(CONTRACT, bank_reference="\x00wrong")]), CONTRACT, lines=False
    )
    assert faults(decoded) == {0: ["bank_reference.type"]}


def test_whole_numbers_are_amounts_when_they_fit() -> None:
    whole = with_column("paid_amount", pa.array([113, 10**17]))
    decoded = decode_arrow(ipc(whole), CONTRACT)
    assert str(decoded.rows["paid_amount"][0]) == "113.00"
    assert faults(decoded) == {1: ["paid_amount.type"]}


LAST_DAY = 2932896


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("paid_on", pa.array([19000, 2**31 - 1], pa.int32()).cast(pa.date32())),
        ("paid_on", pa.array([LAST_DAY, LAST_DAY + 1], pa.int32()).cast(pa.date32())),
        ("paid_on", pa.array(["2024-01-01", "0000-01-01"])),
        ("paid_on", pa.array([0, -86_400_000 * 2**32]).cast(pa.date64())),
        ("updated_at", pa.array([0, 2**62], pa.timestamp("us", "UTC"))),
        ("updated_at", pa.array([0, -(2**62)], pa.timestamp("us", "UTC"))),
        ("updated_at", pa.array([0, 2**62], pa.timestamp("s", "UTC"))),
        ("updated_at", pa.array(["2024-01-01T00:00:00Z", "9999-12-31T23:59:59+00:00"])),
    ],
)
def test_a_time_that_no_reader_holds_is_a_fault_of_its_row_alone(
    name: str, values: pa.Array
) -> None:
    decoded = decode_arrow(ipc(with_column(name, values)), CONTRACT)
    assert faults(decoded) == {1: [f"{name}.type"]}
    assert decoded.rows[name].to_pylist()[0] is not None


@pytest.mark.parametrize("amount", ["99999999999999.99", "9999999999999999.99", "0.10", "1e3"])
def test_a_json_number_is_the_amount_that_its_digits_spell(amount: str) -> None:
    line = canonical.dumps(valid_row(CONTRACT, paid_amount="@")).replace(b'"@"', amount.encode())
    decoded = decode_json(line, CONTRACT, lines=False)
    assert decoded.faults == {}
    assert decoded.rows["paid_amount"].to_pylist() == [Decimal(amount).quantize(Decimal("0.01"))]
    assert amount.encode() in decoded.raw([0])[0]


@pytest.mark.parametrize("amount", ["0.001", "1e400", "1" * 5000, "-1e-400", "true", "[1]"])
def test_a_json_number_that_does_not_fit_is_a_fault(amount: str) -> None:
    line = canonical.dumps(valid_row(CONTRACT, paid_amount="@")).replace(b'"@"', amount.encode())
    assert faults(decode_json(line, CONTRACT, lines=False)) == {0: ["paid_amount.type"]}


BROKEN_LINES = {
    "cut": b'{"payment_id": "PAY9", ',
    "no object": b"17",
    "not a number": b'{"payment_id": "PAY9", "paid_amount": NaN}',
    "half a character": b'{"payment_id": "\\ud800"}',
    "deeper than we read": b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("case", BROKEN_LINES)
def test_a_line_that_is_no_row_is_kept_as_it_came_and_its_neighbours_are_read(case: str) -> None:
    good = canonical.dumps(valid_row(CONTRACT))
    decoded = decode_json(b"\n".join([good, BROKEN_LINES[case], good]), CONTRACT, lines=True)
    assert faults(decoded) == {1: ["record.undecodable"]}
    assert decoded.raw([1])[0] == BROKEN_LINES[case]
    verdict = judge(decoded.rows, CONTRACT, decoded.faults)
    assert [each.code for each in verdict.refused[1]] == ["record.undecodable"]
    assert decoded.rows["payment_id"].to_pylist() == ["PAY1", None, "PAY1"]


def test_what_is_nested_too_deep_to_keep_beside_the_columns_is_told() -> None:
    line = canonical.dumps(valid_row(CONTRACT)).rstrip(b"}") + b',"x":' + b"[" * 600 + b"]" * 600
    decoded = decode_json(line + b"}", CONTRACT, lines=False)
    assert decoded.faults == {}
    assert extras(decoded) == ['{"x":"(nested too deep to keep)"}']


@pytest.mark.parametrize("operation", [5, True, [], "insert"])
def test_an_operation_that_is_none_is_a_fault(operation: object) -> None:
    sent = canonical.dumps(valid_row(CONTRACT, _op=operation))
    assert faults(decode_json(sent, CONTRACT, lines=False)) == {0: ["operation"]}


@pytest.mark.parametrize(
    "foreign",
    [
        pa.array([[b"x"], [b"y"]], pa.list_(pa.binary())),
        pa.array([2**62, 0], pa.timestamp("us")),
        pa.array([2**62, 0], pa.duration("s")),
        pa.array([b"x", None]),
    ],
)
def test_a_foreign_column_is_told_of_whatever_it_holds(foreign: pa.Array) -> None:
    decoded = decode_arrow(ipc(GOOD.append_column("odd", foreign)), CONTRACT)
    assert decoded.faults == {}
    assert '"odd":' in str(extras(decoded)[0])
    assert canonical.loads(decoded.raw([0])[0])


def test_a_body_that_would_fill_the_memory_is_refused_unopened() -> None:
    bomb = pa.table({"payment_id": pa.array(["x" * 1000]).take(pa.array([0] * 200_000))})
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, bomb.schema, options=options) as stream:
        stream.write_table(bomb)
    assert len(sink.getvalue()) < 1 << 20
    with pytest.raises(UndecodableError, match="unfolds"):
        decode_arrow(sink.getvalue(), CONTRACT)


PLAIN = [
    {},
    {"paid_amount": 99999999999999.99},
    {"paid_amount": "12.30"},
    {"updated_at": "2024-06-01T08:00:00+08:00"},
    {"paid_on": None, "bank_reference": "中\n😀"},
    {"_op": "delete"},
]
ODD = [
    {"updated_at": "2024-06-01T08:00:00"},
    {"paid_amount": 0.001},
    {"paid_amount": True},
    {"payment_id": 5},
    {"remark": "nobody promised it"},
    {"payment_id": ["x"]},
    {"paid_on": "0000-01-01"},
    {"_op": 7},
]


def bodies(*changes: dict[str, object]) -> list[bytes]:
    return [canonical.dumps(valid_row(CONTRACT, **change)) for change in changes]


def test_plain_objects_are_read_in_one_go_and_as_one_by_one() -> None:
    sent = bodies(*PLAIN)
    quick = read_json_singles(sent, CONTRACT)
    assert quick is not None
    together = settle([quick], CONTRACT)
    apart = settle([read_json(each, CONTRACT, lines=False) for each in sent], CONTRACT)
    assert together.rows == apart.rows
    assert together.faults == apart.faults == {}
    assert together.raw(range(len(sent))) == sent


TRICKS = [
    b"", b"{", b"5", b"[]", b"{}{}", b'{"a":1}\n{"a":2}', b"\xef\xbb\xbf{}", b" {}",
    b'{"payment_id":"\xff"}', b'{"payment_id":"\\ud800"}', b'{"payment_id":"a","payment_id":"b"}',
    b'{"paid_amount":NaN}', b'{"paid_amount":1.}', b'{"payment_id":"a\tb"}',
    b'{"payment_id":"\x00"}',
]  # fmt: skip


@pytest.mark.parametrize("odd", [*bodies(*ODD[:6]), *TRICKS], ids=repr)
def test_the_quick_reader_leaves_alone_what_is_not_plain(odd: bytes) -> None:
    """Or reads it with the very same faults."""
    sent = [*bodies(*PLAIN), odd]
    quick = read_json_singles(sent, CONTRACT)
    try:
        one_by_one = [read_json(each, CONTRACT, lines=False) for each in sent]
    except UndecodableError:
        assert quick is None
        return
    if quick is None:
        return
    together, apart = settle([quick], CONTRACT), settle(one_by_one, CONTRACT)
    assert together.rows == apart.rows
    assert together.faults == apart.faults


DAYS = ["2024-03-05", "20240305", "2024/3/5", "2024.3.5", "2024年3月5日", "2024-03-05 00:00:00"]


@pytest.mark.parametrize("day", [*DAYS, "2024-3-32", "5/3/2024", "\uff12024-03-05", ""])
def test_a_day_is_read_as_chinese_systems_write_it(day: str) -> None:
    line = canonical.dumps(valid_row(CONTRACT, paid_on=day))
    good = canonical.dumps(valid_row(CONTRACT))
    decoded = decode_json(good + b"\n" + line, CONTRACT, lines=True)
    if day in DAYS:
        assert decoded.faults == {}
        assert decoded.rows["paid_on"].to_pylist()[1] == date(2024, 3, 5)
    else:
        assert faults(decoded) == {1: ["paid_on.type"]}


CHEAP_BOMBS = {
    "rows of nothing": pa.table({"payment_id": pa.nulls(300_000)}),
    "one text by many names": pa.table(
        {
            "payment_id": pa.DictionaryArray.from_arrays(
                pa.array([0] * 1900, pa.int32()), pa.array(["x" * (1 << 20)])
            )
        }
    ),
}


@pytest.mark.parametrize("case", CHEAP_BOMBS)
def test_a_small_body_that_stands_for_very_much_is_refused(case: str) -> None:
    with pytest.raises(UndecodableError):
        decode_arrow(ipc(CHEAP_BOMBS[case]), CONTRACT)


def test_a_column_of_a_type_that_may_stand_for_very_much_is_named_not_read() -> None:
    wide = pa.FixedSizeListArray.from_arrays(pa.nulls(2 * 10_000_000), 10_000_000)
    decoded = decode_arrow(ipc(GOOD.append_column("odd", wide)), CONTRACT)
    assert "not readable" in str(extras(decoded)[0])
    assert b"not readable" in decoded.raw([0])[0]


def test_more_rows_than_a_body_may_hold_are_refused() -> None:
    with pytest.raises(UndecodableError, match="rows"):
        decode_json(b"{}\n" * 60_000, CONTRACT, lines=True)
    with pytest.raises(UndecodableError, match="rows"):
        decode_json(b"[" + b",".join([b"{}"] * 60_000) + b"]", CONTRACT, lines=False)


def test_dictionaries_are_written_out_as_far_as_a_body_may_unfold_all_together() -> None:
    text = pa.array(["x" * 40_000] * 1000).dictionary_encode()
    table = pa.table({"payment_id": text, "payee_uscc": text})
    with pytest.raises(UndecodableError, match="unfold"):
        decode_arrow(ipc(table), CONTRACT)

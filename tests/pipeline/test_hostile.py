"""Records whose writer means harm, or errs oddly: each is told apart, and stops nobody."""

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from bus.envelope import ARROW_STREAM, JSON
from bus.ports import Record
from kernel import canonical
from pipeline.settings import LandSettings
from tests.pipeline.county import CONTRACT, County
from tests.rows import FACTORY, ipc, record_of, valid_row
from warehouse.store import Commit


def arrow(table: pa.Table, number: int) -> Record:
    return record_of(
        CONTRACT, [], sequence=number, content_type=ARROW_STREAM, body=ipc(table),
        rows=table.num_rows,
    )  # fmt: skip


def steps(county: County) -> list[Commit]:
    commits = county.store.open(CONTRACT.table).commits()
    return [each for each in commits if "attempt" in each.facts]


@pytest.mark.parametrize("records", [1, 2, 3])
def test_rows_without_any_known_column_are_refused_one_by_one(tmp_path: Path, records: int) -> None:
    county = County(tmp_path)
    odd = pa.table({"paymentId": ["P1", "P2", "P3"], "sum": ["1", "2", "3"]})
    county.send(*(arrow(odd, number) for number in range(1, records + 1)))
    assert county.land().counts["quarantined"] == 3 * records
    assert len(county.reasons()) == 3 * records


@pytest.mark.parametrize("header", ["ce_rowcount", "ce_sequence"])
def test_a_number_of_thousands_of_zeros_stops_nobody(tmp_path: Path, header: str) -> None:
    county = County(tmp_path)
    bad, good = (record_of(CONTRACT, [valid_row(CONTRACT)], sequence=n) for n in (1, 2))
    headers = tuple(
        (name, b"0" * 5_000 if name == header else value) for name, value in bad.headers
    )
    county.send(Record(bad.topic, bad.key, bad.value, headers), good)
    county.land()
    assert Counter(row["_sequence"] for row in county.landed()) == {2: 1}


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.string()])
def test_a_dictionary_that_stands_for_gigabytes_is_refused_unopened(
    tmp_path: Path, kind: pa.DataType
) -> None:
    county = County(tmp_path)
    coded = pa.DictionaryArray.from_arrays(
        pa.array([0] * 50_000, pa.int32()), pa.array(["x" * 30_000]).cast(kind)
    )
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, pa.schema([("bomb", coded.type)]), options=options) as out:
        out.write_table(pa.table({"bomb": coded}))
    county.send(
        record_of(CONTRACT, [], sequence=1, body=sink.getvalue(), rows=50_000),
        record_of(CONTRACT, [valid_row(CONTRACT)], sequence=2),
    )
    county.land()
    assert len(county.landed()) == 1
    assert county.reasons() == [["record.undecodable"]]


def test_steps_are_bounded_by_rows_that_nobody_claimed(tmp_path: Path) -> None:
    county = County(tmp_path, LandSettings(commit_rows=1_000))
    nulls = pa.table({"payment_id": pa.nulls(900)})
    bodies = [
        (b"\n".join([b"1"] * 900), "application/x-ndjson"),
        (b"[" + b",".join([b"1"] * 900) + b"]", JSON),
        (ipc(nulls), ARROW_STREAM),
    ]
    county.keys.clear()
    county.enterprises[FACTORY] = replace(county.enterprises[FACTORY], accepts_unsigned=True)
    for number, (body, kind) in enumerate(bodies * 2, 1):
        sent = record_of(
            CONTRACT, [], sequence=number, body=body, content_type=kind, rows=1, key=None
        )
        unclaimed = tuple(each for each in sent.headers if each[0] != "ce_rowcount")
        county.send(Record(sent.topic, sent.key, sent.value, unclaimed))
    assert county.land().counts["quarantined"] == 900 * 6
    assert len(steps(county)) == 3


@pytest.mark.parametrize("rows_a_step", [1, 100_000])
def test_a_number_of_many_zeros_is_the_same_alone_and_among_others(
    tmp_path: Path, rows_a_step: int
) -> None:
    county = County(tmp_path, LandSettings(commit_rows=rows_a_step))
    for number in range(1, 21):
        row = valid_row(CONTRACT, payment_id=f"P{number}", paid_amount=f"{'0' * 60}1.5")
        body = canonical.dumps(row)
        county.send(record_of(CONTRACT, [], sequence=number, body=body, content_type=JSON, rows=1))
    county.land()
    assert {str(row["paid_amount"]) for row in county.landed()} == {"1.50"}
    assert len(county.landed()) == 20


def test_a_delete_is_not_refused_for_what_it_need_not_carry(tmp_path: Path) -> None:
    county = County(tmp_path)
    bodies = [
        b'{"payment_id":"P1","_op":"delete","paid_on":""}',
        b'{"payment_id":7,"_op":"delete"}',
    ]
    for number, body in enumerate(bodies, 1):
        county.send(record_of(CONTRACT, [], sequence=number, body=body, content_type=JSON, rows=1))
    county.land()
    assert [(row["payment_id"], row["paid_on"]) for row in county.landed()] == [("P1", None)]
    assert county.reasons() == [["payment_id.type"]]


def test_headers_and_keys_take_room_in_a_step_as_bodies_do(tmp_path: Path) -> None:
    county = County(tmp_path, LandSettings(commit_bytes=1 << 20))
    record = record_of(CONTRACT, [valid_row(CONTRACT)])
    for _ in range(6):
        padded = (*record.headers, ("padding", b"x" * 700_000))
        county.send(Record(record.topic, record.key, b"", padded))
    county.land()
    assert len(steps(county)) == 3

"""Whatever anybody sends waits in quarantine with its reason, and the good beside it lands."""

import gzip
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from bus.ports import Record
from contracts.loader import find
from kernel import canonical
from tests.pipeline.county import County, payments
from tests.rows import FACTORY, arrow_rows, ipc, record_of
from warehouse import attempts, quarantine

CONTRACT = find("erp.payment.v1")
GOOD = payments(1)[0]
BAD = 2


@pytest.fixture
def county(tmp_path: Path) -> County:
    made = County(tmp_path)
    made.enterprises[FACTORY] = replace(made.enterprises[FACTORY], accepts_unsigned=True)
    return made


def good(number: int) -> Record:
    return record_of(CONTRACT, payments(number), sequence=number)


def bad(body: bytes, **changes: object) -> Record:
    return record_of(CONTRACT, payments(BAD), sequence=BAD, body=body, **changes)


def json(body: bytes, **changes: object) -> Record:
    return bad(body, content_type="application/json", **changes)


def lines(*rows: bytes) -> Record:
    body, kind = b"\n".join(rows), "application/x-ndjson"
    return bad(body, content_type=kind, rows=len(rows))


def packed(table: pa.Table, codec: str | None) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    return sink.getvalue()


def bomb() -> Record:
    text = pa.array(["x" * 1000]).take(pa.array([0] * 200_000))
    return bad(packed(pa.table({"payment_id": text}), "zstd"))


def folded(body: bytes) -> Record:
    """An unsigned record whose body is folded, as a vendor may send it."""
    stream = record_of(CONTRACT, []).key.decode().replace("agent-1", "their-own")
    headers = {
        "ce_source": "/" + stream.rsplit("/", 1)[0],
        "ce_contractid": CONTRACT.id,
        "content-type": "application/json",
        "content-encoding": "gzip",
    }
    pairs = tuple((name, text.encode()) for name, text in headers.items())
    return Record(good(1).topic, stream.encode(), gzip.compress(body), pairs)


def twice() -> bytes:
    table = arrow_rows(CONTRACT, payments(BAD))
    return ipc(table.append_column("payment_id", table["payment_id"]))


WHOLE: dict[str, tuple[Callable[[], Record], str]] = {
    "bytes that are nothing": (lambda: bad(b"\x00\xffnothing"), "record.undecodable"),
    "an Arrow stream cut off": (lambda: bad(good(BAD).value[:-20]), "record.undecodable"),
    "an empty body": (lambda: bad(b""), "record.undecodable"),
    "two columns of one name": (lambda: bad(twice()), "record.undecodable"),
    "a bomb of zstd": (bomb, "record.undecodable"),
    "a bomb of gzip": (lambda: folded(b" " * (70 << 20)), "record.undecodable"),
    "a row count that lies": (lambda: bad(good(BAD).value, rows=7), "record.row_count"),
    "more bytes than a record may have": (lambda: bad(bytes(5 << 20)), "record.too_large"),
    "bytes that are no UTF-8": (lambda: json(b'{"payment_id": "\xff"}'), "record.undecodable"),
    "an array that never ends": (lambda: json(b"[" * 1_000_000), "record.undecodable"),
    "NaN alone": (lambda: json(b"NaN"), "record.undecodable"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_record_that_cannot_be_read_waits_as_the_bytes_that_it_is(
    county: County, case: str
) -> None:
    make, reason = WHOLE[case]
    poison = make()
    county.send(good(1), poison, good(3))
    county.land()
    assert [row["payment_id"] for row in county.landed()] == ["PAY1", "PAY3"]
    (row,) = attempts.visible(county.store, quarantine.QUARANTINE, quarantine.SCHEMA).to_pylist()
    assert (row["row"], row["raw"]) == (quarantine.WHOLE_RECORD, poison.value)
    assert reason in row["reasons"]


def text(**changes: object) -> bytes:
    return canonical.dumps({**GOOD, "payment_id": "BAD", **changes})


def number(spelt: bytes) -> bytes:
    return text(paid_amount=7).replace(b":7,", b":" + spelt + b",").replace(
        b":7}", b":" + spelt + b"}"
    )  # fmt: skip


ROWS: dict[str, tuple[bytes, str]] = {
    "NaN": (number(b"NaN"), "record.undecodable"),
    "Infinity": (number(b"Infinity"), "record.undecodable"),
    "-Infinity": (number(b"-Infinity"), "record.undecodable"),
    "a number that no column holds": (number(b"1e400"), "paid_amount.type"),
    "a number of five thousand digits": (number(b"9" * 5000), "paid_amount.type"),
    "a day of the year 0": (text(paid_on="0000-01-01"), "paid_on.type"),
    "an instant of the year 0": (text(updated_at="0000-01-01T00:00:00Z"), "updated_at.type"),
    "a list where a text is promised": (text(payment_id=["x"]), "payment_id.type"),
    "half a character": (text().replace(b'"BAD"', b'"\\ud800"'), "record.undecodable"),
    "a name twice": (b'{"payment_id":"BAD",' + text()[1:], "record.undecodable"),
    "no object": (b"[1]", "record.undecodable"),
    "deeper than anybody reads": (
        b'{"payment_id":"BAD","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "record.undecodable",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_a_row_that_cannot_land_waits_and_its_neighbours_do_not(county: County, case: str) -> None:
    poison, reason = ROWS[case]
    county.send(lines(canonical.dumps(payments(1)[0]), poison, canonical.dumps(payments(3)[0])))
    county.land()
    assert [row["payment_id"] for row in county.landed()] == ["PAY1", "PAY3"]
    (row,) = attempts.visible(county.store, quarantine.QUARANTINE, quarantine.SCHEMA).to_pylist()
    assert (row["row"], row["raw"]) == (1, poison)
    assert reason in row["reasons"]


COLUMNS: dict[str, tuple[str, pa.Array, str]] = {
    "NaN": ("paid_amount", pa.array([float("nan")]), "paid_amount.type"),
    "Infinity": ("paid_amount", pa.array([float("inf")]), "paid_amount.type"),
    "another schema": ("payee_uscc", pa.array([{"a": 1}]), "payee_uscc.type"),
    "bytes that are no UTF-8": ("payment_id", pa.array([b"\xff"]), "payment_id.type"),
    "a day beyond every calendar": (
        "paid_on", pa.array([2**31 - 1], pa.int32()).cast(pa.date32()), "paid_on.type",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", COLUMNS)
def test_an_arrow_column_that_cannot_land_waits_and_the_next_record_does_not(
    county: County, case: str
) -> None:
    name, column, reason = COLUMNS[case]
    table = arrow_rows(CONTRACT, payments(BAD)).drop_columns([name]).append_column(name, column)
    county.send(good(1), bad(ipc(table)), good(3))
    county.land()
    assert [row["payment_id"] for row in county.landed()] == ["PAY1", "PAY3"]
    (reasons,) = county.reasons()
    assert reason in reasons


def test_bodies_land_alike_however_they_are_packed(county: County) -> None:
    table = arrow_rows(CONTRACT, payments(1, 2))
    codecs = (None, "lz4", "zstd")
    for sequence, codec in enumerate(codecs, 1):
        body = packed(table, codec)
        county.send(record_of(CONTRACT, payments(1, 2), sequence=sequence, body=body))
    county.land()
    names = [each.name for each in CONTRACT.properties]
    rows = [[row[name] for name in names] for row in county.landed()]
    assert len(rows) == 2 * len(codecs)
    assert rows[:2] == rows[2:4] == rows[4:]


@pytest.mark.parametrize("kind", ["application/cloudevents+json", "Application/CloudEvents; x=y"])
def test_an_event_in_structured_mode_says_how_it_is_to_be_sent(county: County, kind: str) -> None:
    event = canonical.dumps({"specversion": "1.0", "data": GOOD})
    poison = replace(good(1), value=event, headers=(("content-type", kind.encode()),))
    county.send(poison, good(3))
    county.land()
    assert [row["payment_id"] for row in county.landed()] == ["PAY3"]
    (reasons,) = county.reasons()
    assert reasons[0] == "record.structured"

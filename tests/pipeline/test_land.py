"""Landing: every record once in its table, once in quarantine with reasons, or a proven repeat."""

import gzip
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from bus import memory
from bus.ports import Record
from bus.topics import topic_of
from contracts.decode import MOST_ROWS
from contracts.loader import find
from kernel import canonical
from kernel.errors import DependencyUnavailableError
from kernel.evidence import SigningKey
from pipeline import land as landing
from pipeline.settings import LandSettings
from tests.pipeline.county import LONG_AGO, County, payments
from tests.pipeline.world import World, row
from tests.rows import FACTORY, KEY, arrow_rows, ipc, record_of, stream_of, valid_row
from warehouse import attempts, quarantine
from warehouse.landing import RECORD_SCHEMA, RECORDS

CONTRACT = find("erp.payment.v1")


@pytest.fixture
def county(tmp_path: Path) -> County:
    return County(tmp_path)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def changed(record: Record, header: str, text: str | None) -> Record:
    """Forge a header, or leave it out."""
    kept = [(name, value) for name, value in record.headers if name != header]
    return replace(record, headers=(*kept, *([] if text is None else [(header, text.encode())])))


def test_rows_land_once_with_where_they_came_from(county: County) -> None:
    county.send(record_of(CONTRACT, payments(1, 2)))
    landed = county.land()
    assert dict(landed.counts) == {
        "records": 1,
        "rows": 2,
        "landed": 2,
        "quarantined": 0,
        "repeats": 0,
    }
    first = county.landed()[0]
    assert (first["payment_id"], first["_enterprise"], first["_source"]) == ("PAY1", FACTORY, "u8")
    assert (first["_sequence"], first["_row"], first["_op"]) == (1, 0, "upsert")
    assert first["_stream"] == f"{FACTORY}/agent-1/u8/{CONTRACT.id}"
    assert county.land().counts == {}
    assert len(county.landed()) == 2


def test_records_of_two_hours_of_a_month_are_kept_once_each(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    county.send(record_of(CONTRACT, payments(1)))
    monkeypatch.setattr(memory, "_START", memory._START + timedelta(hours=30))
    county.send(record_of(CONTRACT, payments(2), sequence=2))
    county.land()
    assert county.store.open(RECORDS).dataset().count_rows() == 2
    assert county.store.open(CONTRACT.table).dataset().count_rows() == 2


def test_a_bad_row_is_quarantined_and_its_neighbours_land(county: County) -> None:
    rows = [*payments(1), valid_row(CONTRACT, payment_id="PAY2", payee_uscc="91330523719500014X")]
    county.send(record_of(CONTRACT, rows))
    assert county.land().counts["quarantined"] == 1
    assert [row["payment_id"] for row in county.landed()] == ["PAY1"]
    assert county.reasons() == [["payee_uscc.format"]]
    assert county.verdicts() == ["partial"]


def test_a_repeat_is_dropped_and_counted(county: County) -> None:
    batch = record_of(CONTRACT, payments(1))
    county.send(batch, batch)
    assert county.land().counts["repeats"] == 1
    county.send(batch)
    assert county.land().counts["repeats"] == 1
    assert len(county.landed()) == 1
    assert county.verdicts() == ["landed", "repeat", "repeat"]


def test_the_same_number_with_another_content_is_a_fork(county: County) -> None:
    county.send(record_of(CONTRACT, payments(1)), record_of(CONTRACT, payments(2)))
    county.land()
    assert county.reasons() == [["sequence.fork"]]


def test_a_hole_is_told_and_the_late_record_still_lands(county: County) -> None:
    county.send(record_of(CONTRACT, payments(1)), record_of(CONTRACT, payments(3), sequence=3))
    county.land()
    told = county.store.open(CONTRACT.table).commits()[-1].facts["holes"]
    assert told == [
        {"stream": f"{FACTORY}/agent-1/u8/{CONTRACT.id}", "epoch": "e1", "from": 2, "to": 2}
    ]
    county.send(record_of(CONTRACT, payments(2), sequence=2))
    assert county.land().counts["landed"] == 1
    assert sorted(row["payment_id"] for row in county.landed()) == ["PAY1", "PAY2", "PAY3"]


FORGERIES = {
    "a header changed after signing": (
        lambda record: changed(record, "ce_recordedtime", "2030-01-01T00:00:00+00:00"),
        "signature.invalid",
    ),
    "a body changed after signing": (
        lambda record: replace(record, value=record.value + b"\x00"),
        "record.digest",
    ),
    "an unknown key": (
        lambda _: record_of(CONTRACT, payments(1), key=SigningKey(b"\x02" * 32)),
        "signature.key",
    ),
    "no signature": (lambda _: record_of(CONTRACT, payments(1), key=None), "signature.missing"),
    "no digest, so nothing binds the body": (
        lambda record: changed(record, "ce_bodydigest", None),
        "signature.invalid",
    ),
    "another contract than the topic's": (
        lambda record: changed(record, "ce_contractid", "erp.delivery.v1"),
        "record.headers",
    ),
    "another key of the record": (
        lambda record: replace(record, key=b"somebody else"),
        "record.headers",
    ),
}


@pytest.mark.parametrize("case", FORGERIES)
def test_a_forged_record_is_kept_as_bytes_and_nothing_of_it_lands(
    county: County, case: str
) -> None:
    forge, reason = FORGERIES[case]
    forged = forge(record_of(CONTRACT, payments(1)))
    county.send(forged)
    county.land()
    assert county.landed() == []
    assert reason in county.reasons()[0] or case == "another contract than the topic's"
    rows = attempts.visible(county.store, quarantine.QUARANTINE, quarantine.SCHEMA).to_pylist()
    assert [(row["row"], row["raw"]) for row in rows] == [(quarantine.WHOLE_RECORD, forged.value)]


def test_a_revoked_key_no_longer_signs(county: County) -> None:
    known = county.keys[KEY.public.id]
    county.keys[KEY.public.id] = replace(known, revoked_at=LONG_AGO + timedelta(days=1))
    county.send(record_of(CONTRACT, payments(1)))
    county.land()
    assert county.reasons() == [["signature.key"]]


def test_a_factory_may_not_publish_what_the_county_keeps(county: County) -> None:
    project = find("retrofit.project.v1")
    county.bus.ensure_topics([topic_of(project.id)])
    county.bus.sender().send([record_of(project, [valid_row(project)])])
    county.land(project)
    assert county.reasons() == [["contract.not_permitted"]]


def test_undecodable_bytes_wait_in_quarantine(county: County) -> None:
    county.send(record_of(CONTRACT, payments(1), body=b"not arrow"))
    county.land()
    assert county.reasons() == [["record.undecodable"]]


@pytest.mark.parametrize("digits", [25, 5000])
def test_numbers_that_no_table_holds_do_not_stop_the_others(county: County, digits: int) -> None:
    forged = changed(record_of(CONTRACT, payments(1)), "ce_rowcount", "9" * digits)
    county.send(forged, record_of(CONTRACT, payments(2)))
    county.land()
    assert [row["payment_id"] for row in county.landed()] == ["PAY2"]


def test_a_foreign_type_beside_the_columns_does_not_stop_the_others(county: County) -> None:
    good = arrow_rows(CONTRACT, payments(1))
    odd = good.append_column("odd", pa.array([[b"x"]], pa.list_(pa.binary())))
    county.send(record_of(CONTRACT, payments(1), body=ipc(odd)))
    county.send(record_of(CONTRACT, payments(2), sequence=2))
    county.land()
    assert [row["payment_id"] for row in county.landed()] == ["PAY1", "PAY2"]
    assert county.landed()[0]["_extra"] == '{"odd":"(list<item: binary>, not readable)"}'


def test_a_lying_row_count_is_not_believed(county: County) -> None:
    county.send(record_of(CONTRACT, payments(1, 2), rows=3))
    county.land()
    assert county.reasons() == [["record.row_count"]]


@pytest.mark.parametrize("body", [None, b"no rows at all"], ids=["another number", "unreadable"])
def test_of_a_refused_record_no_more_rows_are_counted_than_a_body_may_hold(
    county: County, body: bytes | None
) -> None:
    batch = record_of(CONTRACT, payments(1), rows=10**17, **({"body": body} if body else {}))
    county.send(batch)
    assert county.land().counts["quarantined"] == MOST_ROWS


def test_rows_of_an_attempt_that_was_never_decided_do_not_exist(county: County) -> None:
    county.send(record_of(CONTRACT, payments(1)))
    county.land()
    ghosts = attempts.visible(county.store, RECORDS, RECORD_SCHEMA).to_pylist()
    stray = [{**row, "attempt": "never-decided"} for row in ghosts]
    county.store.open(RECORDS).append(pa.Table.from_pylist(stray, schema=RECORD_SCHEMA), {}, {})
    assert county.verdicts() == ["landed"]


def test_any_vendor_may_send_json(county: County) -> None:
    county.send(
        record_of(
            CONTRACT,
            payments(1),
            content_type="application/x-ndjson",
            body=b"\n".join(canonical.dumps(row) for row in payments(1, 2)),
            rows=2,
        ),
        record_of(
            CONTRACT,
            payments(3),
            sequence=2,
            content_type="application/json",
            body=canonical.dumps(payments(3)[0]),
        ),
    )
    county.land()
    assert [row["payment_id"] for row in county.landed()] == ["PAY1", "PAY2", "PAY3"]


SPELLINGS = {
    "application/json; charset=utf-8": [],
    'Application/JSON;charset="UTF-8"': [],
    "application/x-ndjson ; charset=US-ASCII": [],
    "application/json; odata.metadata=none": [],
    "application/json; charset=gbk": [["record.content_type"]],
    "application/json; charset=utf-8; charset=gbk": [["record.content_type"]],
    "text/json": [["record.content_type"]],
}


@pytest.mark.parametrize("kind", SPELLINGS)
def test_a_content_type_is_read_with_its_parameters(county: County, kind: str) -> None:
    body = canonical.dumps(payments(1)[0])
    county.send(record_of(CONTRACT, payments(1), content_type=kind, body=body))
    county.land()
    assert county.reasons() == SPELLINGS[kind]
    assert len(county.landed()) == (0 if SPELLINGS[kind] else 1)


def test_a_contract_that_gained_a_column_lands_in_the_table_of_its_earlier_version(
    county: County,
) -> None:
    kept = tuple(each for each in CONTRACT.properties if each.name != "bank_reference")
    earlier = replace(CONTRACT, properties=kept)
    county.send(record_of(CONTRACT, payments(1)))
    county.land(earlier)
    county.send(record_of(CONTRACT, payments(2), sequence=2))
    county.land()
    first, second = county.landed()
    assert (first["bank_reference"], second["bank_reference"]) == (None, "BR0001")
    assert first["_extra"] == '{"bank_reference":"BR0001"}'


def test_a_record_that_comes_while_landing_is_landed_once_and_landing_ends(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    extents = county.bus.extents

    def and_one_more(topics: list[str]) -> object:
        found = extents(topics)
        county.send(record_of(CONTRACT, payments(2), sequence=2))
        return found

    county.send(record_of(CONTRACT, payments(1)))
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(county.bus, "extents", and_one_more)
        county.land()
    county.land()
    assert [row["payment_id"] for row in county.landed()] == ["PAY1", "PAY2"]
    assert county.verdicts() == ["landed", "landed"]


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_a_step_holds_no_more_rows_than_it_may_and_a_record_stays_whole(
    tmp_path: Path, rows: int
) -> None:
    county = County(tmp_path, land=LandSettings(commit_rows=rows))
    county.send(
        *(record_of(CONTRACT, payments(*range(n * 3, n * 3 + 3)), sequence=n + 1) for n in range(5))
    )
    county.land()
    commits = county.store.open(CONTRACT.table).commits()
    sizes = [each.facts["counts"]["rows"] for each in commits if "counts" in each.facts]
    assert sum(sizes) == len(county.landed()) == 15
    assert max(sizes) <= max(rows + 2, 3)


def folded(body: bytes, encoding: str) -> Record:
    """Send lines of JSON, folded, as a vendor may."""
    stream = stream_of(CONTRACT).id.replace("agent-1", "their-own")
    headers = {
        "ce_source": "/" + stream.rsplit("/", 1)[0],
        "ce_contractid": CONTRACT.id,
        "content-type": "application/x-ndjson",
        "content-encoding": encoding,
    }
    pairs = tuple((name, text.encode()) for name, text in headers.items())
    return Record(topic_of(CONTRACT.id), stream.encode(), body, pairs)


def test_nobody_speaks_unsigned_in_the_name_of_an_agent_that_has_a_key(county: County) -> None:
    county.enterprises[FACTORY] = replace(county.enterprises[FACTORY], accepts_unsigned=True)
    county.send(record_of(CONTRACT, payments(1), key=None), record_of(CONTRACT, payments(2)))
    county.land()
    assert county.verdicts() == ["refused", "landed"]
    assert county.reasons() == [["signature.missing"]]


def test_a_folded_body_is_unfolded_as_far_as_it_may(county: County) -> None:
    county.enterprises[FACTORY] = replace(county.enterprises[FACTORY], accepts_unsigned=True)
    line = canonical.dumps(payments(1)[0])
    county.send(
        folded(gzip.compress(line), "gzip"),
        folded(pa.compress(line, "zstd", asbytes=True), "zstd"),
        folded(line, "gzip"),
        folded(line, "br"),
        folded(gzip.compress(b" " * (70 << 20)), "gzip"),
        folded(gzip.compress(line)[:-4], "gzip"),
    )
    county.land()
    assert county.verdicts() == ["landed", "landed", *["refused"] * 4]
    assert county.reasons() == [
        ["record.undecodable"], ["record.content_type"], ["record.undecodable"],
        ["record.undecodable"],
    ]  # fmt: skip


def test_a_table_that_cannot_be_opened_is_not_the_trouble_of_the_others(world: World) -> None:
    others = "erp.delivery.v1"
    for contract in (CONTRACT.id, others):
        world.send(contract, row(contract))
    world.land()
    log = world.settings.state_dir / "lake" / CONTRACT.table / "_delta_log"
    min(log.glob("*.json")).write_text("nothing that can be read")
    world.send(others, row(others, delivery_line_id="D2"))
    with pytest.raises(DependencyUnavailableError, match="could not be opened"):
        world.store.open(CONTRACT.table)
    assert landing.behind(world.settings) == [others, CONTRACT.id]
    assert CONTRACT.id not in landing.lag()
    assert landing.lag()[find(others).id].lag == 1
    landing.land(others)
    assert landing.behind(world.settings) == [CONTRACT.id]
    with pytest.raises(DependencyUnavailableError, match=CONTRACT.table):
        landing.land(CONTRACT.id)

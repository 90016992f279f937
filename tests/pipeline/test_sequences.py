"""Numbers of a stream: repeats are proven, forks refused, corrections believed, holes told."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from bus.outbox import Encoded, Outbox
from bus.ports import Record
from contracts.loader import find
from pipeline import bodies
from pipeline.settings import LandSettings
from tests.pipeline.county import County, payments
from tests.rows import KEY, arrow_rows, ipc, record_of, stream_of, valid_row
from warehouse import attempts
from warehouse.landing import RECORD_SCHEMA, RECORDS

CONTRACT = find("erp.payment.v1")
STREAM = stream_of(CONTRACT)


@pytest.fixture
def county(tmp_path: Path) -> County:
    return County(tmp_path / "state")


def outbox_records(path: Path, batches: int) -> list[Record]:
    """Let the agent's own outbox number and sign batches of a row each."""
    box = Outbox(path, KEY)
    found: list[Encoded] = []
    for number in range(1, batches + 1):
        found += bodies.encode(arrow_rows(CONTRACT, payments(number)), CONTRACT.version)
    box.put(STREAM, found, "cursor")
    records = [each.record for each in box.pending(batches)]
    box.close()
    return records


def holes(county: County) -> list[tuple[int, int]]:
    commits = county.store.open(CONTRACT.table).commits()
    return [(hole["from"], hole["to"]) for each in commits for hole in each.facts.get("holes", ())]


def test_a_stream_of_the_outbox_has_no_hole(county: County, tmp_path: Path) -> None:
    county.send(*outbox_records(tmp_path / "box", 3))
    county.land()
    assert holes(county) == []
    assert county.verdicts() == ["landed"] * 3


@pytest.mark.parametrize("lost", [0, 1])
def test_a_record_that_was_lost_on_the_way_is_a_hole_also_the_very_first(
    county: County, tmp_path: Path, lost: int
) -> None:
    records = outbox_records(tmp_path / "box", 3)
    county.send(*(each for number, each in enumerate(records) if number != lost))
    county.land()
    assert holes(county) == [(lost + 1, lost + 1)]


@pytest.mark.parametrize("at_once", [True, False], ids=["one commit", "a commit each"])
def test_the_original_that_comes_again_after_a_fork_is_a_repeat(
    county: County, *, at_once: bool
) -> None:
    first, fork = record_of(CONTRACT, payments(1)), record_of(CONTRACT, payments(2))
    for each in [(first, fork, first, fork)] if at_once else [(first,), (fork,), (first,), (fork,)]:
        county.send(*each)
        county.land()
    assert county.verdicts() == ["landed", "refused", "repeat", "repeat"]
    assert county.reasons() == [["sequence.fork"]]


@pytest.mark.parametrize("at_once", [True, False], ids=["one commit", "a commit each"])
def test_a_refused_record_leaves_its_number_for_the_corrected_one(
    county: County, *, at_once: bool
) -> None:
    wrong, right = record_of(CONTRACT, payments(1), rows=5), record_of(CONTRACT, payments(1))
    broken = record_of(CONTRACT, payments(2), sequence=2, body=b"not arrow")
    mended = record_of(CONTRACT, payments(2), sequence=2)
    sent = [wrong, wrong, broken, right, mended, right, broken]
    for each in [sent] if at_once else [[record] for record in sent]:
        county.send(*each)
        county.land()
    assert county.verdicts() == [
        "refused", "repeat", "refused", "landed", "landed", "repeat", "repeat",
    ]  # fmt: skip
    assert [row["payment_id"] for row in county.landed()] == ["PAY1", "PAY2"]
    assert county.reasons() == [["record.row_count"], ["record.undecodable"]]
    assert holes(county) == []


def test_rows_that_were_all_refused_one_by_one_keep_their_number(county: County) -> None:
    bad = [valid_row(CONTRACT, payee_uscc="91330523719500014X")]
    county.send(record_of(CONTRACT, bad), record_of(CONTRACT, payments(1)))
    county.send(record_of(CONTRACT, bad))
    county.land()
    assert county.verdicts() == ["quarantined", "refused", "repeat"]
    assert county.reasons() == [["payee_uscc.format"], ["sequence.fork"]]


def test_a_body_changed_on_the_way_takes_nobodys_number(county: County) -> None:
    first = record_of(CONTRACT, payments(1))
    county.send(replace(first, value=first.value + b"\x00"), first)
    county.land()
    assert county.verdicts() == ["refused", "landed"]


def test_a_leap_of_the_numbers_is_one_hole_and_what_comes_late_still_lands(county: County) -> None:
    county.send(record_of(CONTRACT, payments(1)))
    county.send(record_of(CONTRACT, payments(2), sequence=10**17))
    county.send(record_of(CONTRACT, payments(3), sequence=5))
    county.land()
    assert holes(county) == [(2, 10**17 - 1)]
    assert county.verdicts() == ["landed"] * 3


def test_a_whole_stream_sent_again_is_all_repeats(county: County, tmp_path: Path) -> None:
    records = outbox_records(tmp_path / "box", 20)
    county.send(*records)
    county.land()
    county.send(*records)
    assert county.land().counts["repeats"] == 20
    assert len(county.landed()) == 20


def test_a_sender_that_counts_from_zero_has_its_first_record_proven_a_repeat_too(
    county: County,
) -> None:
    first, second = (record_of(CONTRACT, payments(n + 1), sequence=n) for n in range(2))
    county.send(first, second, first)
    county.land()
    county.send(first)
    county.land()
    assert county.verdicts() == ["landed", "landed", "repeat", "repeat"]
    assert holes(county) == []


def odd(number: int, sequence: int) -> Record:
    """A body that opens, and of which only the judging finds that it cannot be read."""
    rows = arrow_rows(CONTRACT, payments(number)).drop_columns(["payee_uscc"])
    ends = pa.array([1], pa.int32())
    column = pa.RunEndEncodedArray.from_arrays(ends, pa.array(["x"]))
    body = ipc(rows.append_column("payee_uscc", column))
    return record_of(CONTRACT, payments(number), sequence=sequence, body=body)


@pytest.mark.parametrize("commit_rows", [1, 3, 100])
def test_a_record_that_only_the_judging_finds_unreadable_leaves_its_number_too(
    tmp_path: Path, commit_rows: int
) -> None:
    county = County(tmp_path, land=LandSettings(commit_rows=commit_rows))
    first, late, mended = (
        record_of(CONTRACT, payments(1)),
        odd(2, 2),
        record_of(CONTRACT, payments(2), sequence=2),
    )
    last = record_of(CONTRACT, payments(4), sequence=4)
    county.send(first, late, mended, first, late, mended, last)
    county.land()
    assert county.verdicts() == [
        "landed", "refused", "landed", "repeat", "repeat", "repeat", "landed",
    ]  # fmt: skip
    assert county.reasons() == [["record.undecodable"]]
    assert [row["payment_id"] for row in county.landed()] == ["PAY1", "PAY2", "PAY4"]
    assert holes(county) == [(3, 3)]
    assert sum(row["quarantined"] for row in told(county)) == 1


def told(county: County) -> list[dict[str, object]]:
    return attempts.visible(county.store, RECORDS, RECORD_SCHEMA).to_pylist()

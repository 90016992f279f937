"""The rows that are measured: the same each time, with the faults that were planted."""

import pyarrow as pa

from bench.promises import promises
from bench.rows import BATCH_ROWS, CONTRACT, OFTEN, RARE, batches, json_rows, reports
from contracts import decode
from contracts.gate import judge


def refused(rows: pa.Table) -> dict[int, tuple[str, ...]]:
    verdict = judge(rows.append_column("_op", pa.repeat("upsert", rows.num_rows)), CONTRACT, {})
    return {row: tuple(each.code for each in why) for row, why in verdict.refused.items()}


def test_each_planted_fault_is_found_and_no_other() -> None:
    rows = 10_000
    found = refused(reports(0, rows, OFTEN))
    planted = {
        "operation_no.minimum": 1,
        "shift.enum": 2,
        "good_qty.minimum": 3,
        "unit_of_measure.required": 4,
        "batch_no.length": 5,
    }
    wanted: dict[int, set[str]] = {}
    for code, which in planted.items():
        for row in range(which, rows, OFTEN + which):
            wanted.setdefault(row, set()).add(code)
    assert {row: set(why) for row, why in found.items()} == wanted
    assert len(refused(reports(0, rows, RARE))) < len(found) / 10


def test_batches_are_the_rows_in_parts() -> None:
    parts = list(batches(12_000))
    assert [each.num_rows for each in parts] == [BATCH_ROWS, BATCH_ROWS, 2_000]
    assert pa.concat_tables(parts) == reports(0, 12_000)


def test_json_rows_say_the_same() -> None:
    rows = reports(0, 300)
    read = decode.decode_json(b"\n".join(json_rows(rows)), CONTRACT, lines=True)
    assert read.rows.select(rows.column_names) == rows
    assert not read.faults


def test_a_peer_is_asked_for_every_promise_of_a_column() -> None:
    asked = {name for name, _ in promises(CONTRACT)}
    assert {"report_id.required", "good_qty.minimum", "shift.enum", "batch_no.length"} <= asked

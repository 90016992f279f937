"""What a step holds in memory is bounded, whatever bodies unfold to."""

import gzip
import io
import subprocess
import sys
from dataclasses import replace as changed
from pathlib import Path

import pyarrow as pa
import pytest

from bus.ports import Record
from contracts.loader import find
from kernel import canonical, clock
from pipeline import replay
from pipeline.settings import ROOT, LandSettings
from tests.pipeline.county import County, payments
from tests.rows import arrow_rows, record_of
from warehouse import attempts

CONTRACT = find("erp.payment.v1")
MIB = 1 << 20


@pytest.fixture
def county(tmp_path: Path) -> County:
    return County(tmp_path, land=LandSettings(commit_bytes=MIB))


def steps(county: County) -> list[int]:
    commits = county.store.open(CONTRACT.table).commits()
    return [each.facts["counts"]["records"] for each in commits if "counts" in each.facts]


def zstd(number: int) -> Record:
    """A small body that unfolds to a megabyte and more: one long text nobody promised."""
    table = arrow_rows(CONTRACT, payments(number)).append_column("odd", pa.array(["x" * MIB]))
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    return record_of(CONTRACT, payments(number), sequence=number, body=sink.getvalue())


def dictionary(number: int) -> Record:
    """Many rows that all name one text of a dictionary."""
    rows = arrow_rows(CONTRACT, payments(*range(number * 100, number * 100 + 100)))
    column = pa.array(["x" * (MIB // 100)] * 100).dictionary_encode()
    table = rows.append_column("odd", column)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    numbers = range(number * 100, number * 100 + 100)
    return record_of(CONTRACT, payments(*numbers), sequence=number, body=sink.getvalue())


def folded(number: int) -> Record:
    return vendors(
        number, gzip.compress(canonical.dumps({**payments(number)[0], "odd": "x" * MIB}))
    )


def vendors(number: int, body: bytes, kind: str = "application/x-ndjson") -> Record:
    """Send a folded body as a vendor who has no key."""
    record = record_of(
        CONTRACT, payments(number), sequence=number, key=None, rows=1, content_type=kind, body=body
    )
    stream = record.key.decode().replace("agent-1", "their-own")
    texts = {"ce_source": "/" + stream.rsplit("/", 1)[0], "ce_partitionkey": stream}
    kept = tuple((name, value) for name, value in record.headers if name not in texts)
    more = (*texts.items(), ("content-encoding", "gzip"))
    headers = kept + tuple((name, text.encode()) for name, text in more)
    return Record(record.topic, stream.encode(), record.value, headers)


@pytest.mark.parametrize("make", [zstd, dictionary, folded])
def test_a_step_unfolds_to_no_more_than_it_may_and_a_record_stays_whole(
    county: County, make: object
) -> None:

    (name,) = county.enterprises
    county.enterprises[name] = changed(county.enterprises[name], accepts_unsigned=True)
    records = [make(number) for number in range(1, 6)]
    county.send(*records)
    county.land()
    assert steps(county) == [1] * 5
    assert county.verdicts() == ["landed"] * 5
    assert county.land().counts == {}


def test_small_records_still_share_a_step(county: County) -> None:
    county.send(*(record_of(CONTRACT, payments(n), sequence=n) for n in range(1, 21)))
    county.land()
    assert steps(county) == [20]


def test_a_fork_and_a_repeat_are_seen_across_the_steps_of_one_reading(county: County) -> None:
    county.send(zstd(1), zstd(1), record_of(CONTRACT, payments(9), sequence=1), zstd(2))
    county.land()
    assert county.verdicts() == ["landed", "repeat", "refused", "landed"]
    assert county.reasons() == [["sequence.fork"]]


def test_columns_without_bytes_are_no_way_to_fill_the_memory(county: County) -> None:
    """Nulls cost a sender nothing, and a row of thousands of them costs us much."""
    rows = 20_000
    table = pa.table({f"c{n}": pa.nulls(rows) for n in range(2_000)})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    bomb = record_of(CONTRACT, payments(1), body=sink.getvalue(), rows=rows)
    county.send(bomb, record_of(CONTRACT, payments(2), sequence=2))
    county.land()
    assert county.reasons() == [["record.undecodable"]]
    assert [row["payment_id"] for row in county.landed()] == ["PAY2"]


def test_a_replay_is_bounded_as_a_landing_is(county: County) -> None:
    known = dict(county.keys)
    county.keys.clear()
    county.send(*(zstd(number) for number in range(1, 6)))
    county.land()
    assert county.verdicts() == ["refused"] * 5
    county.keys.update(known)
    work = replay._Replay(county.settings, CONTRACT, county.store, county.lander()._known())
    assert len(work.judge(attempts.waiting(county.store, clock.now()))) == 5
    assert sorted(row["payment_id"] for row in county.landed()) == [f"PAY{n}" for n in range(1, 6)]
    assert steps(county)[1:] == [1] * 5


LINES, JSON = "application/x-ndjson", "application/json"
# A row as dear as JSON can be: each of its bytes costs many of ours.
DEAR = b'{"x":[' + b'{"":0},' * 300 + b"0]}"
UNFOLDED = 62 * MIB
# Made when asked for: each is large.
BOMBS = {
    "a row of objects": lambda: (JSON, b'{"x":[' + b'{"":0},' * (UNFOLDED // 7) + b"0]}"),
    "an element of objects": lambda: (JSON, b'[{"x":[' + b'{"":0},' * (UNFOLDED // 7) + b"0]}]"),
    "lines of nothing": lambda: (LINES, b"{}\n" * (UNFOLDED // 3)),
    "elements, each dear": lambda: (JSON, b"[" + (DEAR + b",") * (UNFOLDED // len(DEAR)) + b"{}]"),
}
MEASURED = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.pipeline.county import County
from tests.pipeline.test_intake import vendors

def peak():
    (line,) = [s for s in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in s]
    return int(line.split()[1]) >> 10

folder, kind = Path(sys.argv[1]), sys.argv[2]
county = County(folder / "state")
(name,) = county.enterprises
county.enterprises[name] = replace(county.enterprises[name], accepts_unsigned=True)
county.send(vendors(1, (folder / "small").read_bytes()))
county.land()
before = peak()
county.send(vendors(2, (folder / "bomb").read_bytes(), kind))
county.land()
print(peak() - before)
"""


@pytest.mark.parametrize("case", BOMBS)
def test_what_unfolds_to_very_much_json_costs_no_more_than_a_bounded_part_of_the_memory(
    tmp_path: Path, case: str
) -> None:
    kind, body = BOMBS[case]()
    (tmp_path / "small").write_bytes(gzip.compress(canonical.dumps(payments(1)[0])))
    (tmp_path / "bomb").write_bytes(gzip.compress(body))
    assert len(body) <= 64 * MIB
    told = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path), kind],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert int(told.stdout.splitlines()[-1]) < 700

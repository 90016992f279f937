"""Operation reports as factories send them: the same rows for us and for every peer."""

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bus.envelope import ARROW_STREAM, JSON, Batch, seal
from bus.ports import Record
from bus.topics import topic_of
from contracts.loader import find
from contracts.schema import batch_schema
from kernel import canonical
from kernel.evidence import SigningKey
from kernel.ids import AgentId, EnterpriseId, SourceId, Stream

CONTRACT = find("mes.operation_report.v1")
FACTORY = EnterpriseId("91330523719500014U")
AGENT = AgentId("agent-1")
# An installation without a key of its own.
VENDOR = AgentId("vendor-1")
KEY = SigningKey(b"\x01" * 32)
BATCH_ROWS = 5_000
_START = int(datetime(2024, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000
_SECOND = 1_000_000
# Of so many rows one breaks each of the planted promises.
RARE, OFTEN = 2_000, 150


def _pick(words: Sequence[str], places: NDArray[np.int64]) -> pa.Array:
    return pc.take(pa.array(words), pa.array(places % len(words)))


def _named(prefix: str, numbers: NDArray[np.int64]) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def reports(first: int, count: int, planted: int = RARE) -> pa.Table:
    """Give reports by their numbers; nothing is random, so every run sees the same rows."""
    numbers = np.arange(first, first + count, dtype=np.int64)
    mixed = (numbers * 2_654_435_761) % 4_294_967_296
    started = _START + numbers * _SECOND
    finished = started + (mixed % 14_400) * _SECOND
    columns: dict[str, pa.Array] = {
        "report_id": _named("OR", numbers),
        "work_order_id": _named("WO", numbers // 40),
        "operation_no": pa.array(
            np.where(_is_planted(numbers, planted, 1), 0, 10 + mixed % 8 * 10)
        ),
        "operation_name": _pick(["裁剪", "缝纫", "组装", "喷涂", "包装", "检验"], mixed),
        "work_centre_code": _pick([f"WC-{n:03}" for n in range(40)], mixed),
        "equipment_code": _pick([f"EQ{n:04}" for n in range(300)], mixed),
        "worker_code": _pick([f"E{n:05}" for n in range(900)], mixed),
        "team": _pick(["缝纫一组", "缝纫二组", "组装一组", "包装组"], mixed),
        "shift": _some(_pick(["day", "middle", "night"], mixed), (numbers, planted, 2), "noon"),
        "started_at": pa.array(started),
        "finished_at": pa.array(finished),
        "good_qty": pa.array(
            np.where(_is_planted(numbers, planted, 3), -10_000, mixed % 500 * 10_000)
        ),
        "scrap_qty": pa.array(mixed % 7 * 10_000),
        "rework_qty": pa.array(mixed % 3 * 10_000),
        "unit_of_measure": _some(_pick(["件", "套"], mixed), (numbers, planted, 4), None),
        "run_minutes": pa.array(mixed % 24_000 * 100 // 100),
        "setup_minutes": pa.array(mixed % 1_500),
        "report_source": _pick(["machine", "scan", "manual"], mixed),
        "is_key_operation": pa.array(mixed % 2 == 0),
        "is_piece_work": pa.array(mixed % 5 == 0),
        "batch_no": _some(_named("B", numbers // 500), (numbers, planted, 5), "B" * 65),
        "updated_at": pa.array(finished + 5 * _SECOND),
    }
    return pa.table(
        [_typed(columns[each.name], each.type) for each in batch_schema(CONTRACT)],
        schema=batch_schema(CONTRACT),
    )


def _is_planted(numbers: NDArray[np.int64], each: int, which: int) -> NDArray[np.bool_]:
    return numbers % (each + which) == which


def _some(
    values: pa.Array, where: tuple[NDArray[np.int64], int, int], wrong: str | None
) -> pa.Array:
    return pc.if_else(pa.array(_is_planted(*where)), pa.scalar(wrong, pa.string()), values)


def _typed(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(wanted):
        # The numbers above count the smallest unit.
        whole = values.cast(pa.decimal128(38, 0)).cast(pa.string())
        unit = pa.scalar(f"0.{'0' * (wanted.scale - 1)}1").cast(pa.decimal128(18, wanted.scale))
        return pc.multiply(whole.cast(pa.decimal128(19, 0)), unit).cast(wanted)
    return values.cast(wanted)


def batches(count: int, size: int = BATCH_ROWS) -> Iterator[pa.Table]:
    """Give the reports in tables of one batch each."""
    for first in range(0, count, size):
        yield reports(first, min(size, count - first))


def json_rows(table: pa.Table) -> list[bytes]:
    """Spell rows as JSON objects, amounts and instants as text."""
    texts = {
        field.name: pc.strftime(table[field.name], "%Y-%m-%dT%H:%M:%SZ")
        if pa.types.is_timestamp(field.type)
        else table[field.name].cast(pa.string())
        if pa.types.is_decimal(field.type)
        else table[field.name]
        for field in table.schema
    }
    return [canonical.dumps(row) for row in pa.table(texts).to_pylist()]


def body(table: pa.Table) -> bytes:
    """Write a table as an agent does: an Arrow stream with zstd."""
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as out:
        out.write_table(table)
    return sink.getvalue()


def arrow_record(table: pa.Table, number: int) -> Record:
    """Seal a table of reports as the next batch of an agent."""
    stream = Stream(FACTORY, AGENT, SourceId("mes"), CONTRACT.id)
    return sealed(body(table), table.num_rows, number, stream, CONTRACT.version)


def sealed(arrow: bytes, rows: int, number: int, stream: Stream, version: str) -> Record:
    """Sign a body."""
    recorded_at = datetime(2024, 6, 1, tzinfo=UTC)
    return seal(
        Batch(stream, version, "bench", number, ARROW_STREAM, arrow, rows, recorded_at), KEY
    )


def json_record(row: bytes) -> Record:
    """Send a row as a vendor does whose system has no agent of ours: unsigned, not counted."""
    source = f"{FACTORY}/{VENDOR}/mes"
    headers = (
        ("ce_source", f"/{source}".encode()),
        ("ce_contractid", CONTRACT.id.encode()),
        ("content-type", JSON.encode()),
    )
    return Record(topic_of(CONTRACT.id), f"{source}/{CONTRACT.id}".encode(), row, headers)

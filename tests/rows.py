"""Rows and records for tests: a valid row of a contract, a signed batch of rows."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from bus.envelope import ARROW_STREAM, Batch, seal
from bus.ports import Record
from contracts.model import Contract, LogicalType
from contracts.schema import batch_schema
from kernel.evidence import SigningKey
from kernel.ids import AgentId, EnterpriseId, SourceId, Stream

FACTORY = EnterpriseId("91330523719500014U")
KEY = SigningKey(b"\x01" * 32)
SENT_AT = datetime(2024, 6, 1, 8, tzinfo=UTC)


def valid_row(contract: Contract, **changes: object) -> dict[str, object]:
    """Give the row that a contract's examples spell."""
    row: dict[str, object] = {
        each.name: each.examples[0] if each.examples else None for each in contract.properties
    }
    return {**row, **changes}


def arrow_rows(contract: Contract, rows: Sequence[dict[str, object]]) -> pa.Table:
    """Give rows in the contract's types; texts are cast, as examples are texts."""
    columns = []
    for field, column in zip(batch_schema(contract), contract.properties, strict=True):
        values = [row.get(field.name) for row in rows]
        texts = [None if value is None else str(value) for value in values]
        if column.type is LogicalType.BOOLEAN:
            texts = [None if text is None else text.lower() for text in texts]
        columns.append(pa.array(texts, pa.string()).cast(field.type))
    extra = {"_op": [row["_op"] for row in rows]} if any("_op" in row for row in rows) else {}
    return pa.table({**dict(zip(batch_schema(contract).names, columns, strict=True)), **extra})


def ipc(table: pa.Table) -> bytes:
    """Write a table as an Arrow stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def stream_of(contract: Contract, enterprise: str = FACTORY) -> Stream:
    """Name the stream that tests send on."""
    return Stream(EnterpriseId(enterprise), AgentId("agent-1"), SourceId("u8"), contract.id)


def record_of(
    contract: Contract,
    entries: Sequence[dict[str, object]],
    *,
    sequence: int = 1,
    key: SigningKey | None = KEY,
    **changes: object,
) -> Record:
    """Seal rows as the batch of an agent."""
    table = arrow_rows(contract, entries)
    facts: dict[str, object] = {
        "stream": stream_of(contract),
        "contract_version": contract.version,
        "epoch": "e1",
        "sequence": sequence,
        "content_type": ARROW_STREAM,
        "body": ipc(table),
        "rows": table.num_rows,
        "recorded_at": SENT_AT,
        **changes,
    }
    return seal(Batch(**facts), key)

"""Quix Streams' turn: one-row JSON records from Kafka, checked row by row, good ones to Delta."""

import json
import sys
import time
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

sys.path.insert(0, str(Path(__file__).parent.parent))
from check import checker


class DeltaSink(BatchingSink):
    """Writes a batch of rows as one commit: Quix Streams has no sink of its own for Delta."""

    def __init__(self, table: str) -> None:
        super().__init__()
        self._table = table

    def write(self, batch: SinkBatch) -> None:
        """Append a batch."""
        rows = pa.Table.from_pylist([item.value for item in batch])
        write_deltalake(self._table, rows, mode="append", schema_mode="merge")


def main(job_file: str) -> None:
    """Read as many records as were sent; print how long it took."""
    job = json.loads(Path(job_file).read_text("utf-8"))
    broken = checker(job["rules"])
    app = Application(
        broker_address=job["bootstrap"],
        consumer_group="bench",
        auto_offset_reset="earliest",
        commit_every=100_000,
        loglevel="ERROR",
    )
    rows = app.dataframe(app.topic(job["topic"], value_deserializer="json"))
    judged = rows.apply(lambda row: {**row, "_reasons": ",".join(broken(row))})
    judged.filter(lambda row: not row["_reasons"]).sink(DeltaSink(f"{job['out']}/good"))
    judged.filter(lambda row: row["_reasons"]).sink(DeltaSink(f"{job['out']}/bad"))
    started = time.perf_counter()
    app.run(count=job["count"])
    print(json.dumps({"seconds": [time.perf_counter() - started]}))


main(sys.argv[1])

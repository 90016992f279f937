"""dlt's turn: a table of PostgreSQL to Parquet files, by the backend that the job names."""

import json
import sys
import time
from pathlib import Path

import dlt
from dlt.sources.sql_database import sql_table


def main(job_file: str) -> None:
    """Run the job once; print how long it took and the most memory."""
    job = json.loads(Path(job_file).read_text("utf-8"))
    table = sql_table(
        job["address"], job["table"], backend=job["backend"], chunk_size=job["chunk_rows"]
    )
    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.filesystem(f"file://{job['out']}"),
        dataset_name="lake",
        pipelines_dir=f"{job['out']}-work",
    )
    started = time.perf_counter()
    pipeline.run(table, loader_file_format="parquet")
    took = time.perf_counter() - started
    status = Path("/proc/self/status").read_text("utf-8")
    (line,) = (each for each in status.splitlines() if each.startswith("VmHWM"))
    print(json.dumps({"seconds": [took], "peak_mib": int(line.split()[1]) // 1024}))


main(sys.argv[1])

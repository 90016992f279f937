"""dlt's turn: JSON rows from files, checked row by row, good and bad ones to Delta tables."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dlt

sys.path.insert(0, str(Path(__file__).parent.parent))
from check import checker


def main(job_file: str) -> None:
    """Run the job once; print how long it took."""
    job = json.loads(Path(job_file).read_text("utf-8"))
    broken = checker(job["rules"])

    @dlt.resource(table_format="delta", write_disposition="append")
    def rows() -> Iterator[object]:
        for file in sorted(Path(job["rows"]).glob("*.json")):
            with file.open("rb") as lines:
                for line in lines:
                    row = json.loads(line)
                    reasons = broken(row)
                    name = "bad" if reasons else "good"
                    marked = {**row, "_reasons": ",".join(reasons)} if reasons else row
                    yield dlt.mark.with_table_name(marked, name)

    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.filesystem(f"file://{job['out']}"),
        dataset_name="lake",
        pipelines_dir=f"{job['out']}-work",
    )
    started = time.perf_counter()
    pipeline.run(rows())
    print(json.dumps({"seconds": [time.perf_counter() - started]}))


main(sys.argv[1])

"""The gate alone against Great Expectations, on the same rows and promises."""

from collections.abc import Iterator
from statistics import median

from bench import tasks
from bench.measures import Measure, Size

_RUNS = 5


def against_gx(size: Size) -> Iterator[Measure]:
    """All reasons of each row; GX once by counts, once with the keys of bad rows."""
    rows = size.rows
    ours = tasks.run("gate", rows=rows, runs=_RUNS)
    basic = tasks.run("gx", rows=rows, runs=1, result_format="BASIC")
    complete = tasks.run("gx", rows=rows, runs=1, result_format="COMPLETE")
    seconds, least, most = (median(tasks.seconds(each)) for each in (ours, basic, complete))
    yield Measure(
        id="gate_vs_gx",
        value=round(seconds, 3),
        unit="s",
        rows=rows,
        goal="≥ 30 × GX COMPLETE, ≥ 20 × GX BASIC",
        met=most >= 30 * seconds and least >= 20 * seconds,
        peer=f"GX 1.24.1: COMPLETE {most:.1f} s, BASIC {least:.1f} s",
        ratio=round(most / seconds, 1),
        details={
            "ratio_basic": round(least / seconds, 1),
            "ours": ours,
            "gx_basic": basic,
            "gx_complete": complete,
        },
    )

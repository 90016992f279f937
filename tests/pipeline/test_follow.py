"""Following: what comes lands within moments, and a stop finishes what was begun."""

import time
from pathlib import Path
from threading import Event, Thread

from contracts.loader import find
from pipeline.settings import LandSettings
from tests.pipeline.county import County, payments
from tests.rows import record_of

CONTRACT = find("erp.payment.v1")


def test_what_comes_is_landed_as_it_comes_until_told_to_stop(tmp_path: Path) -> None:
    county = County(tmp_path, land=LandSettings(follow_seconds=0.02))
    county.send(record_of(CONTRACT, payments(1)))
    lander, stop = county.lander(), Event()
    counts: list[int] = []
    lander.on_commit = lambda told: counts.append(told["landed"])
    thread = Thread(target=lander.follow, args=(stop,))
    thread.start()
    try:
        for number in range(2, 6):
            await_rows(county, number - 1)
            county.send(record_of(CONTRACT, payments(number), sequence=number))
        await_rows(county, 5)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert sum(counts) == 5
    assert county.verdicts() == ["landed"] * 5
    # A stop is no end: another lander goes on where this one stood.
    county.send(record_of(CONTRACT, payments(6), sequence=6))
    assert county.land().counts["landed"] == 1


def await_rows(county: County, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(county.landed()) < count:
        assert time.monotonic() < deadline, f"only {len(county.landed())} rows landed"
        time.sleep(0.02)

"""A county in real systems: what comes late comes once, also when it is started again."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import TypeAdapter

from county.faults import LATE
from county.generate import Asked, County
from county.reach import OFFICES, Reach
from county.servers.database import OWNER
from county.servers.postgres import Postgres
from county.truth import SEED
from tests.connectors.machines.processes import until
from tests.flow.stage import passable_folder

pytestmark = pytest.mark.real_system
WORDS = "county generate --load --factories 1 --months 2 --later 0 --faults late_row,column_renamed"


@pytest.fixture
def folder() -> Iterator[Path]:
    base = passable_folder()
    yield base / "county"
    shutil.rmtree(base)


def serve(folder: Path, end: signal.Signals = signal.SIGTERM) -> int:
    """Start a county, wait until what is late has come, and end it."""
    argv = [Path(sys.executable).with_name("nplusx"), *WORDS.split(), "--out", folder.name]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=folder.parent) as process:
        assert process.stdout is not None
        # It says so when all is up, and nothing before.
        assert "1 factories are up" in process.stdout.readline()
        assert process.stdout.readline().endswith(f"{folder / 'sources.json'}\n")
        second = subprocess.run(
            argv, capture_output=True, text=True, cwd=folder.parent, check=False
        )
        assert (second.returncode, "is up already" in second.stderr) == (2, True)
        assert (folder / "sources.json").exists()
        until((folder / "servers" / "factory_001.later").exists, "what is late")
        process.send_signal(end)
        return process.wait(60)


def held(folder: Path) -> tuple[set[str], set[str]]:
    """Give the keys and columns that stand in the factory's database."""
    server = Postgres(folder / "servers" / "postgres")
    server.start()
    try:
        with psycopg.connect(server.address("factory_001", OWNER)) as database:
            rows = database.execute('select "iDLsID" from "DispatchLists"').fetchall()
            asked = database.execute('select * from "SO_SODetails" limit 0').description or ()
        return {str(key) for (key,) in rows}, {each.name for each in asked}
    finally:
        server.stop()


def test_late_rows_and_a_renamed_column_come_once(folder: Path) -> None:
    county = County(Asked(1, 2, SEED, {LATE: 1, "column_renamed": 1}))
    books = county.make(county.factories[0]).books
    told = {str(row["delivery_line_id"]) for row in books["erp.delivery.v1"]}
    # Killed, it leaves its servers behind; the next one puts its own in their place.
    assert serve(folder, signal.SIGKILL) == -signal.SIGKILL
    for _ in range(2):
        assert serve(folder) == 0
        rows, columns = held(folder)
        assert rows == told
        assert "iQuantity_column_renamed" in columns
    reached = TypeAdapter(tuple[Reach, ...]).validate_json((folder / "sources.json").read_bytes())
    assert {each.source["id"] for each in reached if each.factory != OFFICES} == {"erp"}

"""Upkeep of real Delta tables: nothing is doubled, lost or made unreadable by it."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from warehouse.delta import DeltaHandle, DeltaStore
from warehouse.store import ConflictError

SCHEMA = pa.schema([("a", pa.int64()), ("attempt", pa.string()), ("_month", pa.string())])
TARGET = 1 << 20
NONE = timedelta(0)


def rows(*numbers: int) -> pa.Table:
    columns = {"a": list(numbers), "attempt": [f"x{n}" for n in numbers]}
    return pa.table({**columns, "_month": ["2024-01"] * len(numbers)}, schema=SCHEMA)


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    made = DeltaStore(str(tmp_path / "lake"))
    made.create("t", SCHEMA, ["_month"])
    for number in range(6):
        made.open("t").append(rows(number), {"land/x/0": number}, {"attempt": f"x{number}"})
    return made


def held(store: DeltaStore, version: int | None = None) -> list[int]:
    return sorted(store.open("t", version).dataset().to_table()["a"].to_pylist())


def test_small_files_become_one_and_rows_marks_and_facts_stay(store: DeltaStore) -> None:
    facts = [each.facts for each in store.open("t").commits()]
    assert store.open("t").files().count == 6
    assert store.open("t").compact(TARGET)
    assert store.open("t").files().count == 1
    assert held(store) == list(range(6))
    assert store.open("t").mark("land/x/0") == 5
    assert [each.facts for each in store.open("t").commits()] == facts
    version = store.open("t").version
    assert not store.open("t").compact(TARGET)
    assert store.open("t").version == version


@pytest.mark.parametrize(
    "second",
    [
        lambda handle: handle.compact(TARGET),
        lambda handle: handle.clear("attempt", ["x1"], {}),
        lambda handle: handle.append(rows(9), {}, {}),
        lambda handle: handle.fence(),
    ],
    ids=["compact", "clear", "append", "fence"],
)
@pytest.mark.parametrize("first", ["compact", "clear", "fence"])
def test_whoever_opened_before_must_look_again(
    store: DeltaStore, first: str, second: Callable[[DeltaHandle], object]
) -> None:
    stale = store.open("t")
    steps: dict[str, Callable[[], object]] = {
        "compact": lambda: store.open("t").compact(TARGET),
        "clear": lambda: store.open("t").clear("attempt", ["x0"], {}),
        "fence": store.open("t").fence,
    }
    steps[first]()
    before = held(store)
    with pytest.raises(ConflictError):
        second(stale)
    assert held(store) == before


def test_a_compaction_that_is_overtaken_doubles_nothing(
    store: DeltaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = store.open("t")
    fenced = DeltaHandle._fenced

    def overtaken(handle: DeltaHandle) -> DeltaTable:
        found = fenced(handle)
        monkeypatch.undo()
        store.open("t").compact(TARGET)
        return found

    monkeypatch.setattr(DeltaHandle, "_fenced", overtaken)
    with pytest.raises(ConflictError):
        slow.compact(TARGET)
    assert held(store) == list(range(6))


def test_rows_that_came_to_nothing_go_and_the_commit_says_so(store: DeltaStore) -> None:
    assert store.open("t").clear("attempt", ["x1", "x4", "it's"], {"cleared": ["x1"]}) == 2
    assert held(store) == [0, 2, 3, 5]
    assert store.open("t").commits()[-1].facts == {"cleared": ["x1"]}
    assert store.open("t").mark("land/x/0") == 5


def test_a_reader_of_an_older_version_goes_on_for_the_time_and_a_kept_one_after(
    store: DeltaStore,
) -> None:
    store.open("t").compact(TARGET)
    assert store.open("t").sweep(timedelta(hours=1), []) == 0
    assert held(store, 4) == [0, 1, 2, 3]
    assert store.open("t").sweep(NONE, [4]) == 2
    assert held(store, 4) == [0, 1, 2, 3]
    assert held(store) == list(range(6))
    with pytest.raises(FileNotFoundError):
        held(store, 5)
    version = store.open("t").version
    assert store.open("t").sweep(NONE, [4]) == 0
    assert store.open("t").version == version


def test_a_file_that_a_killed_writer_left_goes_and_one_being_written_stays(
    store: DeltaStore, tmp_path: Path
) -> None:
    old, new = (tmp_path / f"lake/t/_month=2024-01/{name}.parquet" for name in ("old", "new"))
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert store.open("t").sweep(timedelta(hours=1), []) == 1
    assert (old.exists(), new.exists()) == (False, True)


def test_facts_and_marks_outlive_checkpoints_and_files_that_bear_old_dates(
    store: DeltaStore, tmp_path: Path
) -> None:
    log = tmp_path / "lake/t/_delta_log"
    store.open("t").append(rows(6), {"seq/s/e": 7}, {"attempt": "x6"})
    for number in range(7, 30):
        store.open("t").append(rows(number), {"land/x/0": number}, {"attempt": f"x{number}"})
    assert store.open("t").checkpoint()
    assert not store.open("t").checkpoint()
    for path in log.iterdir():
        os.utime(path, (0, 0))
    # Delta itself writes a checkpoint, and would clean up, at every twentieth commit.
    for number in range(30, 105):
        store.open("t").append(rows(number), {"land/x/0": number}, {"attempt": f"x{number}"})
    handle = store.open("t")
    assert (handle.mark("land/x/0"), handle.mark("seq/s/e")) == (104, 7)
    assert [each.facts["attempt"] for each in handle.commits()] == [f"x{n}" for n in range(105)]


def test_a_commit_tells_when_it_was_made(store: DeltaStore) -> None:
    age = datetime.now(UTC) - store.open("t").commits()[-1].at
    assert timedelta(0) <= age < timedelta(minutes=5)


def test_an_older_reader_can_read_what_upkeep_wrote(store: DeltaStore, tmp_path: Path) -> None:
    store.open("t").compact(TARGET)
    store.open("t").clear("attempt", ["x1"], {})
    store.open("t").checkpoint()
    protocol = DeltaTable(str(tmp_path / "lake/t")).protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    assert not protocol.reader_features


def _land(store: DeltaStore, number: int) -> None:
    while store.open("t").mark("land/x/0") != number:
        with suppress(ConflictError):
            store.open("t").append(rows(number), {"land/x/0": number}, {})


def _merge(store: DeltaStore, done: Event) -> None:
    while not done.is_set():
        with suppress(ConflictError):
            store.open("t").compact(TARGET)
            store.open("t").clear("attempt", ["none"], {})


def test_landing_goes_on_while_files_are_merged(store: DeltaStore) -> None:
    done = Event()
    with ThreadPoolExecutor(2) as pool:
        merging = [pool.submit(_merge, store, done) for _ in range(2)]
        try:
            for number in range(6, 30):
                _land(store, number)
        finally:
            done.set()
    assert [each.result() for each in merging] == [None, None]
    assert held(store) == list(range(30))

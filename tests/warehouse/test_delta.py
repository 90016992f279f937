"""The store on real Delta tables: watermarks in the commit, a racing writer gets a conflict."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from kernel.errors import ConfigurationError, DependencyUnavailableError
from warehouse.delta import DeltaStore
from warehouse.store import ConflictError

SCHEMA = pa.schema([("a", pa.int64()), ("m", pa.string())])


def rows(*numbers: int) -> pa.Table:
    return pa.table({"a": list(numbers), "m": ["2024-01"] * len(numbers)}, schema=SCHEMA)


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    made = DeltaStore(str(tmp_path / "lake"))
    made.create("t", SCHEMA, ["m"])
    return made


def test_rows_marks_and_facts_are_one_commit(store: DeltaStore) -> None:
    handle = store.open("t")
    assert handle.mark("land/x/0") is None
    handle.append(rows(1, 2), {"land/x/0": 5}, {"attempt": "one"})
    version = store.open("t").version
    fresh = store.open("t")
    assert (fresh.version, fresh.mark("land/x/0")) == (version, 5)
    assert fresh.commits()[-1].facts == {"attempt": "one"}
    assert fresh.dataset().count_rows() == 2


def test_a_commit_without_rows_still_moves_the_mark(store: DeltaStore) -> None:
    store.open("t").append(rows(), {"land/x/0": 9}, {"attempt": "empty"})
    assert store.open("t").mark("land/x/0") == 9
    assert store.open("t").commits()[-1].facts == {"attempt": "empty"}


def test_of_two_writers_with_one_mark_the_second_must_look_again(store: DeltaStore) -> None:
    first, second = store.open("t"), store.open("t")
    first.append(rows(1), {"land/x/0": 1}, {})
    with pytest.raises(ConflictError):
        second.append(rows(1), {"land/x/0": 1}, {})
    assert store.open("t").dataset().count_rows() == 1


def test_writers_of_other_partitions_do_not_disturb_each_other(store: DeltaStore) -> None:
    first, second = store.open("t"), store.open("t")
    first.append(rows(1), {"land/x/0": 1}, {})
    second.append(rows(2), {"land/x/1": 1}, {})
    assert store.open("t").dataset().count_rows() == 2


def test_an_older_version_stays_readable(store: DeltaStore) -> None:
    store.open("t").append(rows(1), {}, {"n": 1})
    version = store.open("t").version
    store.open("t").append(rows(2), {}, {"n": 2})
    old = store.open("t", version)
    assert old.dataset().to_table()["a"].to_pylist() == [1]
    assert [commit.facts for commit in old.commits()] == [{"n": 1}]


def test_of_two_that_replace_an_empty_table_the_second_must_look_again(store: DeltaStore) -> None:
    store.create("computed", SCHEMA)
    first, second = store.open("computed"), store.open("computed")
    first.replace(rows(1), {})
    with pytest.raises(ConflictError):
        second.replace(rows(1), {})
    assert store.open("computed").dataset().count_rows() == 1


def test_replacing_takes_the_schema_of_the_new_rows(store: DeltaStore) -> None:
    store.create("computed", SCHEMA)
    store.open("computed").replace(pa.table({"b": ["x"]}), {})
    assert store.open("computed").dataset().to_table().to_pylist() == [{"b": "x"}]


def test_names_lists_tables_and_nothing_else(store: DeltaStore, tmp_path: Path) -> None:
    (tmp_path / "lake" / "no_table").mkdir()
    store.create("u", SCHEMA)
    store.create("u", SCHEMA)
    assert store.names() == ("t", "u")
    assert DeltaStore(str(tmp_path / "nowhere")).names() == ()


def test_a_missing_table_and_an_unwritable_place_are_told(
    store: DeltaStore, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="no table"):
        store.open("absent")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DependencyUnavailableError):
        DeltaStore(str(tmp_path / "file")).create("t", SCHEMA)


def test_a_table_of_an_earlier_version_gets_the_columns_that_it_lacks(store: DeltaStore) -> None:
    narrow = pa.schema([("n", pa.int64()), ("_month", pa.string())])
    wide = pa.schema([("n", pa.int64()), ("note", pa.string()), ("_month", pa.string())])
    store.create("widened", narrow, ("_month",))
    first = pa.table({"n": [1], "_month": ["2024-01"]}, schema=narrow)
    store.open("widened").append(first, {"mark": 1}, {"who": "earlier"})
    store.create("widened", wide, ("_month",))
    store.create("widened", wide, ("_month",))
    handle = store.open("widened")
    assert handle.mark("mark") == 1
    handle.append(pa.table({"n": [2], "note": ["x"], "_month": ["2024-01"]}), {"mark": 2}, {})
    rows = store.open("widened").dataset().to_table(wide.names).sort_by("n").to_pylist()
    assert [(row["n"], row["note"]) for row in rows] == [(1, None), (2, "x")]


ODD = ["a b/c", "Ä%2F", "x=1", "2024-01", None]


def test_rows_of_any_partition_are_found_after_files_were_merged(store: DeltaStore) -> None:
    for number in (1, 2):
        sent = pa.table({"a": [number] * len(ODD), "m": ODD}, schema=SCHEMA)
        store.open("t").append(sent, {}, {})
    assert store.open("t").compact(1 << 20)
    data = store.open("t").dataset()
    assert sorted(data.to_table()["m"].to_pylist(), key=str) == sorted(ODD * 2, key=str)
    for value in ODD:
        asked = pc.field("m").is_null() if value is None else pc.field("m") == value
        assert sorted(data.to_table(filter=asked)["a"].to_pylist()) == [1, 2], value


def test_a_scan_asks_the_files_themselves_what_their_columns_hold(store: DeltaStore) -> None:
    store.open("t").append(rows(1), {}, {})
    store.open("t").append(rows(2), {}, {})
    # The merged file is delta-rs's own, and it tells the edges of its columns in the log.
    assert store.open("t").compact(1 << 20)
    (file,) = store.open("t").dataset().get_fragments()
    assert str(file.partition_expression) == '(true and (m == "2024-01"))'
    assert store.open("t").dataset().to_table(filter=pc.field("a") > 1)["a"].to_pylist() == [2]

"""The files that an append writes: rows come back whole, whatever their partitions and nulls."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from kernel.errors import DependencyUnavailableError
from warehouse.delta import DeltaStore

SCHEMA = pa.schema(
    [
        ("part", pa.string()),
        ("month", pa.string()),
        ("number", pa.int64()),
        ("is_good", pa.bool_()),
        ("words", pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))),
    ]
)
ODD = ["a/b", "a b%2F", "../up", "工厂", "", "a=b", None]


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    made = DeltaStore(str(tmp_path / "lake"))
    made.create("t", SCHEMA, ("part", "month"))
    return made


def rows(parts: list[str | None]) -> pa.Table:
    numbers = list(range(len(parts)))
    return pa.table(
        {
            "part": parts,
            "month": ["2024-01" if each % 2 else "2024-02" for each in numbers],
            "number": [each if each % 3 else None for each in numbers],
            "is_good": [None if each % 4 else True for each in numbers],
            "words": [[{"name": str(each), "value": b"\x00"}] * (each % 3) for each in numbers],
        },
        schema=SCHEMA,
    )


def told(table: pa.Table) -> list[str]:
    return sorted(map(repr, table.to_pylist()))


def test_rows_come_back_whatever_their_partition_is_called(store: DeltaStore) -> None:
    sent = rows(ODD * 3)
    store.open("t").append(sent, {}, {})
    # An empty text is no partition of Delta's: it reads as nothing.
    wanted = sent.set_column(
        0, "part", pc.if_else(pc.equal(sent["part"], ""), None, sent["part"]).cast(pa.string())
    )
    assert told(store.open("t").dataset().to_table()) == told(wanted)


@pytest.mark.parametrize("by_others", [False, True])
def test_a_question_finds_the_same_rows_in_files_of_either_writer(
    store: DeltaStore, by_others: bool
) -> None:
    sent = rows(["a", "b"] * 50)
    store.open("t").append(sent, {}, {})
    if by_others:
        assert store.open("t").compact(1 << 30) is False
        store.open("t").append(sent, {}, {})
        assert store.open("t").compact(1 << 30)
        store.open("t").append(sent, {}, {})
    times = 3 if by_others else 1
    for asked in (
        pc.field("number") == 4,
        pc.field("number").is_null(),
        pc.field("is_good"),
        pc.field("is_good").is_null(),
        (pc.field("part") == "b") & (pc.field("number") > 90),
    ):
        found = store.open("t").dataset().to_table(filter=asked)
        assert told(found) == told(pa.concat_tables([sent.filter(asked)] * times))


def test_what_many_rows_share_is_text_to_every_reader(store: DeltaStore, tmp_path: Path) -> None:
    sent = rows(["a"] * 6)
    coded = sent.set_column(0, "part", sent["part"].combine_chunks().dictionary_encode())
    store.create("flat", SCHEMA)
    store.open("flat").append(coded, {}, {})
    assert store.open("flat").dataset().to_table() == sent
    assert DeltaTable(tmp_path / "lake" / "flat").to_pyarrow_table() == sent


def test_a_partition_that_a_dictionary_names_twice_is_written_once(store: DeltaStore) -> None:
    plain = rows(["a"] * 4)
    twice = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, 1], pa.int32()), pa.array(["2024-01", "2024-02", "2024-01"])
    )
    store.open("t").append(plain.set_column(1, "month", twice), {}, {})
    found = store.open("t").dataset().to_table().sort_by("number")
    assert found.num_rows == 4
    assert sorted(found["month"].to_pylist()) == ["2024-01"] * 2 + ["2024-02"] * 2


def test_no_rows_make_no_file(store: DeltaStore) -> None:
    store.open("t").append(SCHEMA.empty_table(), {"seen": 7}, {"why": "nothing came"})
    handle = store.open("t")
    assert (handle.files().count, handle.mark("seen")) == (0, 7)


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        (rows(["a"]).drop_columns(["number"]), "number"),
        (rows(["a"]).append_column("more", pa.array([1])), "more"),
        (rows(["a"]).set_column(2, "number", pa.array(["1"])), "number"),
    ],
)
def test_rows_of_other_columns_are_refused(store: DeltaStore, odd: pa.Table, named: str) -> None:
    with pytest.raises(DependencyUnavailableError, match=f"differ in {named}"):
        store.open("t").append(odd, {}, {})
    assert store.open("t").files().count == 0

"""Tables without a time of change are compared with what they were; deletes are found by keys."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from kernel.errors import DependencyUnavailableError
from kernel.ids import ContractId
from tests.connectors.databases import EARLY, HOW, MAPPING, PLAN, Database, keys
from tests.connectors.reading import mapped, read_all

WITHOUT = replace(PLAN, how=replace(HOW, updated=""), mapping=MAPPING.replace("'upsert' as ", ""))
DELETING = replace(WITHOUT, contract=ContractId("test.thing.v1"), how=replace(HOW, deletes=True))


def said(rows: list[dict[str, object]]) -> set[tuple[object, object, object]]:
    return {(row["key"], row["note"], row["_op"]) for row in rows}


def test_a_table_without_a_time_of_change_is_compared_with_what_it_was(database: Database) -> None:
    for n in range(25):
        database.put(f"{n:03}", "first", EARLY)
    connector = database.connector(page_rows=7)
    rows, cursor = read_all(connector, WITHOUT)
    assert said(rows) == {(f"{n:03}", "first", "upsert") for n in range(25)}
    assert read_all(connector, WITHOUT, cursor)[0] == []
    database.put("003", "second", EARLY)
    database.put("new", "first", EARLY)
    database.remove("010")
    rows, cursor = read_all(connector, WITHOUT, cursor)
    assert said(rows) == {
        ("003", "second", "upsert"), ("new", "first", "upsert"), ("010", None, "delete"),
    }  # fmt: skip
    # The same after a restart, and only what the cursor needs is left.
    connector.close()
    connector = database.connector(page_rows=7)
    assert read_all(connector, WITHOUT, cursor)[0] == []
    assert len(list((database.memory / PLAN.contract).iterdir())) <= 8
    connector.close()


def test_a_kill_between_pages_gives_no_row_twice_and_forgets_no_delete(database: Database) -> None:
    for n in range(12):
        database.put(f"{n:03}", "first", EARLY)
    connector = database.connector(page_rows=5)
    _, cursor = read_all(connector, WITHOUT)
    database.put("001", "second", EARLY)
    database.remove("002")
    page = connector.read(WITHOUT, cursor)
    connector.close()
    connector = database.connector(page_rows=5)
    # The page was kept: what follows goes on behind it.
    rest, cursor = read_all(connector, WITHOUT, page.cursor)
    first = mapped(page, WITHOUT)
    assert first is not None
    assert said([*first.to_pylist(), *rest]) == {
        ("001", "second", "upsert"), ("002", None, "delete"),
    }  # fmt: skip
    assert read_all(connector, WITHOUT, cursor)[0] == []
    connector.close()


def test_an_empty_table_is_not_taken_for_deleted_rows(database: Database) -> None:
    database.put("a", "x", EARLY)
    connector = database.connector(sweep_seconds=1)
    cursors = {plan.how.updated: read_all(connector, plan)[1] for plan in (WITHOUT, DELETING)}
    database.remove("a")
    time.sleep(1.1)
    for plan in (WITHOUT, DELETING):
        with pytest.raises(DependencyUnavailableError, match="had 1"):
            read_all(connector, plan, cursors[plan.how.updated])
    connector.close()


def test_what_vanished_is_found_by_its_key(database: Database) -> None:
    for n in range(9):
        database.put(f"{n}", "first", EARLY + timedelta(seconds=n))
    connector = database.connector(page_rows=4, sweep_seconds=1)
    rows, cursor = read_all(connector, DELETING)
    assert len(rows) == 9
    database.put("late", "first", EARLY + timedelta(seconds=20))
    rows, cursor = read_all(connector, DELETING, cursor)
    assert keys(rows) == ["late"]
    for each in ("3", "late"):
        database.remove(each)
    time.sleep(1.1)
    rows, cursor = read_all(connector, DELETING, cursor)
    assert said(rows) == {("3", None, "delete"), ("late", None, "delete")}
    time.sleep(1.1)
    assert read_all(connector, DELETING, cursor)[0] == []
    connector.close()


def test_a_column_may_be_called_as_anything(database: Database) -> None:
    query = "select id, note as source, changed from thing"
    how = replace(HOW, query=query, updated="")
    mapping = "select id as key, source as note, cast(changed as timestamptz) as at, _op from rows"
    plan = replace(PLAN, how=how, mapping=mapping)
    for each in ("a", "b"):
        database.put(each, "same", EARLY)
    connector = database.connector()
    _, cursor = read_all(connector, plan)
    database.put("a", "same", EARLY + timedelta(seconds=1))
    assert keys(read_all(connector, plan, cursor)[0]) == ["a"]
    connector.close()

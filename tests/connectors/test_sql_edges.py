"""What is rare in a database must neither stop a stream nor send rows again and again."""

from datetime import datetime, timedelta

import pytest

from kernel import clock
from tests.connectors.databases import PLAN, Database, keys
from tests.connectors.reading import read_all


def local_now() -> datetime:
    return clock.now().astimezone(clock.SHANGHAI).replace(tzinfo=None)


@pytest.mark.parametrize("page_rows", [8, 100])
def test_a_row_from_the_future_does_not_stop_a_crowded_stream(
    database: Database, monkeypatch: pytest.MonkeyPatch, page_rows: int
) -> None:
    monkeypatch.setattr("connectors.cursor.REMEMBERED", 10)
    monkeypatch.setattr("connectors.look_back.REMEMBERED", 10)
    moment = local_now() - timedelta(seconds=60)
    for n in range(30):
        database.put(f"{n:03}", "x", moment)
    database.put("future", "x", datetime.fromisoformat("2099-01-01"))
    connector = database.connector(page_rows=page_rows)
    rows, cursor = read_all(connector, PLAN)
    assert len(rows) == 31
    assert read_all(connector, PLAN, cursor)[0] == []
    database.put("new", "x", local_now())
    rows, cursor = read_all(connector, PLAN, cursor)
    assert keys(rows) == ["new"]
    assert read_all(connector, PLAN, cursor)[0] == []
    assert len(cursor) < 2000
    connector.close()


def test_more_rows_from_the_future_than_are_remembered_are_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.cursor.REMEMBERED", 10)
    monkeypatch.setattr("connectors.look_back.REMEMBERED", 10)
    database.put("now", "x", local_now())
    for n in range(30):
        database.put(f"{n:03}", "x", datetime.fromisoformat("2099-01-01"))
    connector = database.connector()
    page = connector.read(PLAN, None)
    assert "2099-01-01" in page.holes[0]
    assert "in the future" in page.holes[0]
    connector.close()


def test_rows_without_a_time_are_all_read_once_and_again_when_they_change(
    database: Database,
) -> None:
    for n in range(23):
        database.put(f"{n:03}", "x", None)
    connector = database.connector(page_rows=5)
    rows, cursor = read_all(connector, PLAN)
    assert sorted(map(str, keys(rows))) == [f"{n:03}" for n in range(23)]
    assert read_all(connector, PLAN, cursor)[0] == []
    database.put("017", "y", None)
    rows, cursor = read_all(connector, PLAN, cursor)
    assert [(row["key"], row["note"]) for row in rows] == [("017", "y")]
    # What is gone is not remembered for ever.
    database.remove("010")
    rows, cursor = read_all(connector, PLAN, cursor)
    assert rows == []
    database.put("010", "x", None)
    assert keys(read_all(connector, PLAN, cursor)[0]) == ["010"]
    connector.close()

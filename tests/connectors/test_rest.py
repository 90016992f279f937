"""The rest kind: pages of every form, nothing lost and nothing told twice."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.base import StreamPlan
from connectors.fields import Fields
from connectors.kinds import rest
from connectors.kinds.rest import RestStream
from kernel import clock
from kernel.errors import DependencyUnavailableError
from kernel.ids import ContractId
from tests.connectors.reading import mapped, read_all
from tests.connectors.web.server import Answer, Asked, Server, serving
from tests.connectors.web.shelf import FORM, NOW, PAGINGS, Shelf, open_at, plan_of

pytestmark = pytest.mark.real_system


def keys(rows: list[dict[str, object]]) -> list[object]:
    return [row["key"] for row in rows]


@pytest.fixture(params=PAGINGS)
def by(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shelf(by: str) -> Shelf:
    return Shelf(by)


@pytest.fixture
def server(shelf: Shelf) -> Iterator[Server]:
    with serving(shelf) as started:
        yield started


@pytest.mark.parametrize("count", [0, 1, 3, 7, 9])
def test_every_page_is_read_once(
    server: Server, shelf: Shelf, by: str, tmp_path: Path, count: int
) -> None:
    shelf.fill(count)
    connector = open_at(server, tmp_path)
    rows, cursor = read_all(connector, plan_of(by))
    assert keys(rows) == [str(n) for n in range(1, count + 1)]
    assert read_all(connector, plan_of(by), cursor)[0] == []
    connector.close()


def test_changed_and_late_rows_come_and_no_others(
    server: Server, shelf: Shelf, by: str, tmp_path: Path
) -> None:
    shelf.fill(8)
    connector = open_at(server, tmp_path)
    _, cursor = read_all(connector, plan_of(by))
    shelf.put(2, "changed", (NOW + timedelta(seconds=60)).strftime(FORM))
    shelf.put(20, "new", (NOW + timedelta(seconds=61)).strftime(FORM))
    # Entered before the newest row that was seen, and committed after.
    shelf.put(21, "late", (NOW - timedelta(seconds=200)).strftime(FORM))
    rows, cursor = read_all(connector, plan_of(by), cursor)
    assert {(row["key"], row["note"]) for row in rows} == {
        ("2", "changed"), ("20", "new"), ("21", "late"),
    }  # fmt: skip
    assert read_all(connector, plan_of(by), cursor)[0] == []
    # Longer ago than is looked back.
    shelf.put(22, "too late", (NOW - timedelta(seconds=900)).strftime(FORM))
    assert read_all(connector, plan_of(by), cursor)[0] == []
    connector.close()


def test_a_change_long_after_the_others_brings_none_of_them_again(
    server: Server, shelf: Shelf, by: str, tmp_path: Path
) -> None:
    shelf.fill(8)
    connector = open_at(server, tmp_path)
    _, cursor = read_all(connector, plan_of(by))
    # On the first page of a pass that still meets all the others.
    shelf.put(1, "changed", (NOW + timedelta(days=4)).strftime(FORM))
    rows, cursor = read_all(connector, plan_of(by), cursor)
    assert keys(rows) == ["1"]
    assert read_all(connector, plan_of(by), cursor)[0] == []
    connector.close()


def test_a_source_that_gives_more_than_was_asked_for_says_nothing_new(tmp_path: Path) -> None:
    shelf = Shelf("key")
    shelf.fill(8)
    shelf.put(9, "newest", (NOW + timedelta(days=1)).strftime(FORM))
    plan = plan_of("key")
    # It compares days only, or nothing at all.
    query = {**plan.how.ask.query, "since": "0"}
    plan = replace(plan, how=replace(plan.how, ask=replace(plan.how.ask, query=query)))
    with serving(shelf) as server:
        connector = open_at(server, tmp_path)
        rows, cursor = read_all(connector, plan)
        assert len(rows) == 9
        for _ in range(2):
            rows, cursor = read_all(connector, plan, cursor)
            assert rows == []
        connector.close()


def test_a_clock_that_is_behind_loses_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf("key")
    shelf.fill(6)
    # By its own clock the source is two hours behind ours; the pass takes an hour.
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(hours=2))
    shelf.clock = NOW + timedelta(seconds=10)
    with serving(shelf) as server:
        connector = open_at(server, tmp_path)
        page = connector.read(plan_of("key"), None)
        shelf.put(1, "meanwhile", (NOW + timedelta(seconds=20)).strftime(FORM))
        shelf.clock = NOW + timedelta(hours=1)
        shelf.put(6, "late", (NOW + timedelta(hours=1)).strftime(FORM))
        _, cursor = read_all(connector, plan_of("key"), page.cursor)
        assert ("1", "meanwhile") in {
            (row["key"], row["note"]) for row in read_all(connector, plan_of("key"), cursor)[0]
        }
        connector.close()


def test_until_is_the_same_all_through_a_pass(tmp_path: Path) -> None:
    shelf = Shelf("key")
    shelf.fill(7)
    shelf.clock = NOW
    plan = plan_of("key")
    query = {**plan.how.ask.query, "until": "{until}"}
    plan = replace(plan, how=replace(plan.how, ask=replace(plan.how.ask, query=query)))
    with serving(shelf) as server:
        connector = open_at(server, tmp_path)
        read_all(connector, plan)
        connector.close()
        assert len({asked.query["until"] for asked in server.asked}) == 1
        assert len(server.asked) == 4


def test_any_cursor_goes_on_without_loss_or_doubles(
    server: Server, shelf: Shelf, by: str, tmp_path: Path
) -> None:
    shelf.fill(10)
    plan, cursor, before = plan_of(by), None, []
    connector = open_at(server, tmp_path)
    more = True
    while more:
        page = connector.read(plan, cursor)
        more, cursor = page.more, page.cursor
        if (table := mapped(page, plan)) is not None:
            before += table.to_pylist()
        fresh = open_at(server, tmp_path)
        after, _ = read_all(fresh, plan, cursor)
        assert keys(before) + keys(after) == [str(n) for n in range(1, 11)]
        fresh.close()
    connector.close()


@pytest.mark.parametrize("by", ["page", "offset", "key", "cursor"])
def test_rows_that_change_while_pages_are_read_are_not_lost(
    server: Server, shelf: Shelf, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.fill(9)
    plan = plan_of(by)
    connector = open_at(server, tmp_path)
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(hours=1))
    first = connector.read(plan, None)
    # Behind the place of the pass, and long before the newest that it will see.
    shelf.put(1, "meanwhile", (NOW + timedelta(hours=1)).strftime(FORM))
    shelf.put(9, "at the end", (NOW + timedelta(hours=9)).strftime(FORM))
    shelf.put(30, "new", (NOW + timedelta(hours=2)).strftime(FORM))
    table = mapped(first, plan)
    assert table is not None
    rest_of_it, cursor = read_all(connector, plan, first.cursor)
    following, _ = read_all(connector, plan, cursor)
    told = {(row["key"], row["note"]) for row in (*table.to_pylist(), *rest_of_it, *following)}
    assert {("1", "meanwhile"), ("9", "at the end"), ("30", "new")} <= told
    assert {key for key, _ in told} == {*(str(n) for n in range(1, 10)), "30"}
    connector.close()


@pytest.mark.parametrize("by", ["cursor", "link"])
def test_a_place_that_the_server_forgot_begins_the_pass_anew(
    server: Server, shelf: Shelf, by: str, tmp_path: Path
) -> None:
    shelf.fill(8)
    connector = open_at(server, tmp_path)
    page = connector.read(plan_of(by), None)
    connector.close()
    shelf.forgets = {"3"}
    connector = open_at(server, tmp_path)
    rows, _ = read_all(connector, plan_of(by), page.cursor)
    # What was told already is not told again.
    assert keys(rows) == ["4", "5", "6", "7", "8"]
    assert not shelf.forgets
    connector.close()


def whole(by: str) -> StreamPlan[RestStream]:
    plan = plan_of(by)
    return replace(plan, how=replace(plan.how, updated=()))


def test_a_stream_without_a_time_of_change_is_compared(
    server: Server, shelf: Shelf, by: str, tmp_path: Path
) -> None:
    shelf.fill(8)
    connector, plan = open_at(server, tmp_path), whole(by)
    rows, cursor = read_all(connector, plan)
    assert len(rows) == 8
    assert read_all(connector, plan, cursor)[0] == []
    shelf.put(3, "changed")
    del shelf.things[5]
    shelf.put(40, "new")
    rows, cursor = read_all(connector, plan, cursor)
    assert {(row["key"], row["note"], row["_op"]) for row in rows} == {
        ("3", "changed", "upsert"), ("40", "new", "upsert"), ("5", None, "delete"),
    }  # fmt: skip
    # Killed in the middle of a pass, another goes on with it.
    shelf.put(1, "changed too")
    page = connector.read(plan, cursor)
    table = mapped(page, plan)
    assert table is not None
    connector.close()
    connector = open_at(server, tmp_path)
    after, cursor = read_all(connector, plan, page.cursor)
    assert keys(table.to_pylist()) + keys(after) == ["1"]
    shelf.things.clear()
    with pytest.raises(DependencyUnavailableError, match="nothing is deleted"):
        read_all(connector, plan, cursor)
    connector.close()


@pytest.mark.parametrize("by", ["key"])
def test_hostile_values_come_as_they_are(server: Server, shelf: Shelf, tmp_path: Path) -> None:
    values: list[object] = [
        "🪑 \x00 '; drop", None, True, 0.1, 12345678901234567890123, [1, {"深": "度"}],
        "x" * 10_000_000, "\ud800 half",
    ]  # fmt: skip
    for key, value in enumerate(values, 1):
        shelf.put(key, value)
    shelf.put(9, "no moment", None)
    connector = open_at(server, tmp_path)
    rows, cursor = read_all(connector, plan_of("key"))
    assert [row["note"] for row in rows] == [
        "🪑 \x00 '; drop", None, "true", "0.1", "12345678901234567890123", '["1",{"深":"度"}]',
        "x" * 10_000_000, "? half", "no moment",
    ]  # fmt: skip
    assert read_all(connector, plan_of("key"), cursor)[0] == []
    connector.close()


def test_columns_of_odd_names_and_nulls_in_keys(tmp_path: Path) -> None:
    row = {"a.b": "one name", "a": {"b": "two", "c": [{"d": 1}, {"d": 2}]}, 'q"': None, "id": None}
    with serving(lambda _: Answer([row, row])) as server:
        how = rest.stream_of(
            Fields(
                {"ask": {"path": "rows"}, "columns": ["id", "a.b", "a.c.d", 'q"'], "keys": ["id"]},
                Path("p"),
            )
        )
        plan = StreamPlan(ContractId("t.row.v1"), "1.0.0", "select * from rows", how)
        connector = open_at(server, tmp_path)
        rows, cursor = read_all(connector, plan)
        assert rows[0] == {
            "id": None, "a.b": "one name", "a.c.d": '["1","2"]', 'q"': None, "_op": "upsert",
        }  # fmt: skip
        assert read_all(connector, plan, cursor)[0] == []
        connector.close()


@pytest.mark.parametrize("form", ["iso", "seconds", "milliseconds", "%Y/%m/%d %H.%M.%S"])
def test_moments_are_asked_for_as_the_product_writes_them(form: str, tmp_path: Path) -> None:
    there = NOW.astimezone(ZoneInfo("Asia/Tokyo"))
    seconds = int(NOW.timestamp())
    numbers = {"seconds": seconds, "milliseconds": 1000 * seconds, "iso": there.isoformat()}
    written = numbers.get(form, there.strftime(form))
    asked: list[str] = []

    def says(request: Asked) -> Answer:
        asked.append(request.query["since"])
        rows = [{"id": 1, "note": "", "changed": written}] if len(asked) == 1 else []
        return Answer({"code": 0, "data": {"list": rows}})

    plan = plan_of("key", moment=form, moment_zone="Asia/Tokyo")
    with serving(says) as server:
        connector = open_at(server, tmp_path)
        _, cursor = read_all(connector, plan)
        read_all(connector, plan, cursor)
        connector.close()
    assert plan.how.moments.read(asked[-1], "UTC") == NOW - timedelta(seconds=300)

"""The rest kind in trouble: each is named with its cure, and reading goes on."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from connectors.check import check
from connectors.kinds.rest import RestStream
from connectors.registry import read_preset
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from tests.connectors.machines.landing import agent_of, landed
from tests.connectors.reading import read_all
from tests.connectors.web.server import Answer, Asked, Server, serving
from tests.connectors.web.shelf import BASE, FORM, NOW, Shelf, open_at, plan_of, stream
from tests.pipeline.world import World

pytestmark = pytest.mark.real_system


def keys(rows: list[dict[str, object]]) -> list[object]:
    return [row["key"] for row in rows]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf("key")


@pytest.fixture
def server(shelf: Shelf) -> Iterator[Server]:
    with serving(shelf) as started:
        yield started


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "sleep", lambda _: None)


@pytest.mark.parametrize("by", ["page", "offset", "cursor", "link", "key"])
def test_a_page_that_repeats_for_ever_is_an_error(by: str, tmp_path: Path) -> None:
    rows = [{"id": 1, "note": "", "changed": "2024-01-01"}]
    data = {"list": rows, "next": "1"}
    again = Answer({"code": 0, "data": data}, 200, {"Link": '</things>; rel="next"'})
    with serving(lambda _: again) as server:
        connector = open_at(server, tmp_path)
        with pytest.raises(ConfigurationError, match="the same page again"):
            read_all(connector, plan_of(by))
        connector.close()


def test_empty_pages_without_end_are_an_error_that_lets_others_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.kinds.rest._MOST_EMPTY", 5)

    def on_and_on(asked: Asked) -> Answer:
        onward = str(int(asked.query.get("at") or 0) + 1)
        return Answer({"code": 0, "data": {"list": [], "next": onward}})

    with serving(on_and_on) as server:
        connector, cursor = open_at(server, tmp_path), None
        for _ in range(5):
            cursor = connector.read(plan_of("cursor"), cursor).cursor
        with pytest.raises(ConfigurationError, match="6 empty pages"):
            connector.read(plan_of("cursor"), cursor)
        connector.close()


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (Answer({"code": 9, "message": "没有字段 颜色"}), "没有字段 颜色"),
        (Answer({"code": 9}), "code is '9'"),
        (Answer({}), "code is ''"),
        (Answer([]), "code is ''"),
        (Answer({"code": 0, "data": {"list": {"id": 1}}}), "no list at data.list"),
        (Answer({"code": 0, "data": {"list": ["x"]}}), "neither a mapping nor a list"),
        (Answer({"code": 0, "data": {"list": [[1, 2]]}}), "2 values for 3 columns"),
        (
            Answer({"code": 0, "data": {"list": [{"id": 1, "changed": "gestern"}]}}),
            "gestern is not a moment",
        ),
        (Answer(b"<html>maintenance</html>", 503), "in maintenance"),
    ],
)
def test_an_answer_that_is_no_page_is_named_and_read_again(
    server: Server, shelf: Shelf, tmp_path: Path, answer: Answer, what: str
) -> None:
    shelf.fill(5)
    shelf.down = answer
    connector = open_at(server, tmp_path)
    with pytest.raises((ConfigurationError, DependencyUnavailableError), match=what) as failed:
        connector.read(plan_of("key"), None)
    assert failed.value.cure
    assert "test.row.v1" in failed.value.where
    shelf.down = None
    assert len(read_all(connector, plan_of("key"))[0]) == 5
    connector.close()


def test_a_source_that_dies_between_pages_is_read_on(
    server: Server, shelf: Shelf, tmp_path: Path
) -> None:
    shelf.fill(7)
    connector = open_at(server, tmp_path)
    page = connector.read(plan_of("key"), None)
    for trouble in (Answer(b"", 0), Answer(b"", 502)):
        shelf.down = trouble
        with pytest.raises(DependencyUnavailableError):
            connector.read(plan_of("key"), page.cursor)
    shelf.down = None
    assert keys(read_all(connector, plan_of("key"), page.cursor)[0]) == ["4", "5", "6", "7"]
    connector.close()


def test_a_sample_tells_what_the_rows_lack(server: Server, shelf: Shelf, tmp_path: Path) -> None:
    connector, plan = open_at(server, tmp_path), plan_of("key")
    # A source without such rows yet is well, and the mapping is tried all the same.
    (none,) = check(connector, [plan], "UTC")
    assert (none.problem, none.columns) == ("", ("key", "note", "at", "_op"))
    shelf.fill(2)
    for each in shelf.things.values():
        each["note"] = None
    (well,) = check(connector, [plan], "UTC")
    assert not well.problem
    for each in shelf.things.values():
        each["modified"] = each["changed"]
    shelf.renamed = "changed"
    (renamed,) = check(connector, [plan], "UTC")
    assert "No row of the first page has changed" in renamed.problem
    with pytest.raises(ConfigurationError, match="no catalogue"):
        connector.discover()
    connector.close()


def test_a_row_with_an_odd_moment_stops_no_other(
    server: Server, shelf: Shelf, tmp_path: Path
) -> None:
    shelf.fill(4)
    shelf.things[2]["changed"] = "昨天"
    connector = open_at(server, tmp_path)
    rows, cursor = read_all(connector, plan_of("key"))
    assert [(row["key"], row["at"]) for row in rows][1] == ("2", "昨天")
    assert keys(rows) == ["1", "2", "3", "4"]
    # Alone in its page, too, and once.
    shelf.put(9, "new", "明天")
    rows, cursor = read_all(connector, plan_of("key"), cursor)
    assert keys(rows) == ["9"]
    assert read_all(connector, plan_of("key"), cursor)[0] == []
    connector.close()


@pytest.mark.parametrize("updated", [(), ("changed",)])
def test_a_key_that_is_called_otherwise_deletes_nothing(
    server: Server, shelf: Shelf, tmp_path: Path, updated: tuple[str, ...]
) -> None:
    shelf.fill(4)
    plan = plan_of("offset")
    plan = replace(plan, how=replace(plan.how, updated=updated))
    shelf.by = "offset"
    connector = open_at(server, tmp_path)
    _, cursor = read_all(connector, plan)
    shelf.put(5, "new", (NOW + timedelta(hours=1)).strftime(FORM))
    shelf.renamed = "id"
    with pytest.raises(ConfigurationError, match="No row of a page has id"):
        connector.read(plan, cursor)
    shelf.renamed = ""
    rows, _ = read_all(connector, plan, cursor)
    assert [(row["key"], row["_op"]) for row in rows] == [("5", "upsert")]
    connector.close()


def test_a_path_to_nothing_is_told_by_a_check(server: Server, tmp_path: Path) -> None:
    connector = open_at(server, tmp_path)
    (lost,) = check(connector, [plan_of("key", rows="data.rows")], "UTC")
    assert "nothing at data.rows, but code, data" in lost.problem
    connector.close()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"ask": {"path": "x", "query": {"a": "{sinse}"}}}, "{sinse}"),
        ({"ask": {"path": "x", "verb": "PUT"}}, "verb"),
        ({"keys": ["number"]}, "number is not among"),
        ({"paging": {"by": "key", "column": "no"}}, "no is not among"),
        ({"paging": {"by": "page", "first": "a"}}, "not a number"),
        ({"paging": {"by": "spiral"}}, "paging.by"),
        ({"moment_zone": "Mars"}, "not a time zone"),
        ({"login": {"by": "magic"}}, "login.by"),
        ({"login": {"by": "session", "ask": {"path": "x"}, "extra": "y"}}, "login.extra"),
    ],
)
def test_an_odd_preset_is_refused_before_any_request(changes: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigurationError) as failed:
        stream(**changes)
    assert what in str(failed.value)


def test_what_all_streams_say_stands_once(tmp_path: Path) -> None:
    path = tmp_path / "shared.yaml"
    one = {"contract": "erp.product.v1", "version": "1.0.0", "mapping": "select 1"}
    two = {**one, "contract": "erp.bom.v1", "rows": "other"}
    every = {**BASE, "ask": {"path": "{what}"}}
    said = {
        "title": {"zh": "壹", "en": "one"}, "kind": "rest", "proof": "p", "every": every,
        "streams": [{**one, "with": {"what": "p"}}, {**two, "with": {"what": "b"}}],
    }  # fmt: skip
    path.write_text(json.dumps(said), "utf-8")
    first, second = (each.how for each in read_preset(path).streams)
    assert isinstance(first, RestStream)
    assert isinstance(second, RestStream)
    assert (first.ask.path, first.rows, second.ask.path, second.rows) == (
        "p", "data.list", "b", "other",
    )  # fmt: skip


PRESET = """
title: {zh: 测试, en: test}
kind: rest
proof: only here
streams:
- contract: erp.product.v1
  version: 1.0.0
  ask: {path: things, query: {since: "{since}", limit: "{limit}", at: "{cursor}"}}
  rows: data.list
  columns: [id, note, changed]
  keys: [id]
  updated: [changed]
  moment: "%Y-%m-%d %H:%M:%S"
  paging: {by: key, column: id, limit: 4}
  mapping: |
    select id as product_code, note as product_name, '件' as unit_of_measure,
      'finished' as product_kind, cast(changed as timestamptz) as updated_at, _op
    from rows
"""


def test_an_agent_carries_rows_to_a_landed_table(
    server: Server, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "county", monkeypatch)
    (tmp_path / "things.yaml").write_text(PRESET, "utf-8")
    shelf.fill(10)
    said = f"- {{id: shop, preset: things.yaml, address: '{server.address}'}}\n"
    agent = agent_of(world, tmp_path, said, "erp.product.v1")
    assert agent.round(Event()).is_clean
    shelf.down = Answer(b"", 503)
    (failed,) = agent.round(Event()).streams
    assert "in maintenance" in failed.error
    shelf.down = None
    shelf.put(4, "改", (NOW + timedelta(seconds=99)).strftime(FORM))
    assert agent.round(Event()).is_clean
    agent.close()
    rows = landed(world, "erp.product.v1")
    assert [row["product_code"] for row in rows] == [*(str(n) for n in range(1, 11)), "4"]
    assert rows[-1]["product_name"] == "改"


def test_a_missing_library_says_what_to_install(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("client", "clients"):
        monkeypatch.delitem(sys.modules, f"connectors.web.{name}")
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'nplusx\[rest\]'"):
        open_at(server, tmp_path)

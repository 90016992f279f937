"""Delta tokens, links and maintenance, which CAP has none of: a server of our own plays them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from connectors.base import Source, StreamPlan
from connectors.kinds.odata import OdataConnector, OdataSource, OdataStream
from connectors.odata.model import Entity
from connectors.odata.protocol import keys_of
from connectors.web.login import Login
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import ContractId, SourceId
from tests.connectors.reading import read_all
from tests.connectors.web.server import Answer, Asked, Server, serving

pytestmark = pytest.mark.real_system
TRACKED = """
<Annotations Target="N.C/Orders"><Annotation Term="Org.OData.Capabilities.V1.ChangeTracking">
<Record><PropertyValue Property="Supported" Bool="true"/></Record></Annotation></Annotations>
"""
METADATA = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="{version}" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
<edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Base"><Key><PropertyRef Name="ID"/></Key>
<Property Name="ID" Type="Edm.String" Nullable="false"/></EntityType>
<EntityType Name="Order" BaseType="N.Base"><Property Name="note" Type="Edm.String"/>
<Property Name="changed" Type="Edm.DateTime" Nullable="false"/>
<NavigationProperty Name="lines" Type="Collection(N.Line)"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Orders" EntityType="N.Order"/></EntityContainer>
{tracked}</Schema></edmx:DataServices></edmx:Edmx>"""
HOW = OdataStream("Orders", ("ID", "note"), login=Login())
PLAN = StreamPlan(ContractId("test.row.v1"), "1.0.0", "select * from rows", HOW)


class Book:
    """A source that keeps a token for each who asks: rows, and what happened to them since."""

    def __init__(self) -> None:
        self.rows = {f"O{n}": {"ID": f"O{n}", "note": f"n{n}"} for n in range(5)}
        self.happened: list[dict[str, object]] = []
        self.forgets = self.absolute = self.is_down = self.locks = self.cheats = False
        self.version, self.tracked = "4.0", TRACKED
        self.server: Server | None = None

    def says(self, asked: Asked) -> Answer:
        if self.is_down:
            return Answer({"error": {"code": "503", "message": "维护中"}}, 503)
        if self.locks:
            self.locks = False
            return Answer({"error": {"message": "locked"}}, 403)
        if asked.path.endswith("$metadata"):
            told = METADATA.format(version=self.version, tracked=self.tracked)
            return Answer(told.encode(), headers={"Content-Type": "application/xml"})
        if asked.path.endswith("Orders"):
            return self._page(asked)
        found = self.rows.get(asked.path.partition("'")[2].rstrip("')"))
        return Answer(found) if found else Answer({"error": {"message": "gone"}}, 404)

    def _page(self, asked: Asked) -> Answer:
        kind, _, at = asked.query.get("$token", "all!0").partition("!")
        if kind == "since" and self.forgets:
            return Answer({"error": {"code": "x", "message": "The token has expired."}}, 410)
        rows = [*self.rows.values()] if kind == "all" else self.happened
        start = int(at)
        page: dict[str, object] = {"value": rows[start : start + 2]}
        link = "Orders?$token="
        if self.absolute and self.server:
            link = self.server.address + link
        if start + 2 < len(rows):
            page["@odata.nextLink"] = f"{link}{kind}!{start + 2}"
        elif self.tracked and not self.cheats:
            page["@odata.deltaLink"] = f"{link}since!{len(self.happened)}"
        wants = "track-changes" in asked.headers.get("prefer", "")
        return Answer(page, headers={"Preference-Applied": "odata.track-changes"} if wants else {})


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    monkeypatch.setattr(clock, "sleep", lambda _seconds: None)
    book = Book()
    with serving(book.says) as server:
        book.server = server
        yield book


def connector(book: Book, folder: Path) -> OdataConnector:
    assert book.server is not None
    source = OdataSource(book.server.way())
    return OdataConnector(Source(SourceId("s"), "none", source, memory=folder / "memory"))


def told(rows: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return [(row["ID"], row["note"], row["_op"]) for row in rows]


@pytest.mark.parametrize("absolute", [False, True])
def test_what_changed_and_what_is_gone_comes_by_token(
    book: Book, tmp_path: Path, absolute: bool
) -> None:
    book.absolute = absolute
    made = connector(book, tmp_path)
    rows, cursor = read_all(made, PLAN)
    assert told(rows) == [(f"O{n}", f"n{n}", "upsert") for n in range(5)]
    assert read_all(made, PLAN, cursor)[0] == []
    book.rows["O1"]["note"] = "whole"
    book.happened += [
        {"ID": "O9", "note": "new"},
        {"@odata.context": "$metadata#Orders/$deletedEntity", "id": "Orders('O''2')"},
        # No more than what changed, which is not all that is asked for.
        {"ID": "O1", "@odata.id": "Orders('O1')"},
        {"@removed": {"reason": "deleted"}, "@id": "Orders('O3')"},
        {"@odata.context": "$metadata#Orders/$link", "source": "Orders('O1')"},
    ]
    page = made.read(PLAN, cursor)
    made.close()
    made = connector(book, tmp_path)
    rows, after = read_all(made, PLAN, page.cursor)
    first = page.rows.to_pylist() if page.rows else []
    assert [(row["ID"], row["_op"]) for row in first] == [("O9", None), ("O'2", "delete")]
    assert told(rows) == [("O1", "whole", "upsert"), ("O3", None, "delete")]
    assert read_all(made, PLAN, after)[0] == []
    made.close()


def test_a_token_that_the_source_forgot_is_told_and_all_read_anew(
    book: Book, tmp_path: Path
) -> None:
    made = connector(book, tmp_path)
    _, cursor = read_all(made, PLAN)
    book.forgets = True
    page = made.read(PLAN, cursor)
    assert "forgot its token" in page.holes[0]
    assert page.rows is not None
    rows, cursor = read_all(made, PLAN, page.cursor)
    assert page.rows["ID"].to_pylist() + [row["ID"] for row in rows] == [f"O{n}" for n in range(5)]
    book.forgets = False
    assert read_all(made, PLAN, cursor)[0] == []
    made.close()


def test_a_token_outlives_that_reading_is_forbidden_for_a_while(book: Book, tmp_path: Path) -> None:
    made = connector(book, tmp_path)
    _, cursor = read_all(made, PLAN)
    book.locks = True
    with pytest.raises(ConfigurationError, match="locked"):
        made.read(PLAN, cursor)
    assert read_all(made, PLAN, cursor)[0] == []
    made.close()


def test_a_promised_token_that_does_not_come_is_named(book: Book, tmp_path: Path) -> None:
    book.cheats = True
    made = connector(book, tmp_path)
    with pytest.raises(ConfigurationError, match="gives none"):
        read_all(made, PLAN)
    never = replace(PLAN, how=replace(HOW, track="never"))
    rows, cursor = read_all(made, never)
    assert (len(rows), read_all(made, never, cursor)[0]) == (5, [])
    made.close()


def test_moments_that_are_shown_rounded_hide_no_row(book: Book, tmp_path: Path) -> None:
    book.version, book.tracked = "1.0", ""
    real = {f"O{n:02}": 100 * n + 600 for n in range(60)}

    def page(asked: Asked) -> Answer:
        found = re.search(r"datetime'([^']+)'", asked.query.get("$filter", ""))
        since = datetime.fromisoformat(found.group(1) + "+00:00").timestamp() if found else -1
        rows = [(name, at) for name, at in real.items() if at / 1000 >= since]
        # Shown in whole seconds, to the next one.
        told = [{"ID": n, "note": "", "changed": f"/Date({round(at, -3)})/"} for n, at in rows]
        skip, top = (int(asked.query.get(name, "0")) for name in ("$skip", "$top"))
        return Answer({"d": {"results": told[skip : skip + top]}})

    book._page = page
    assert book.server is not None
    source = OdataSource(book.server.way(), page_rows=4)
    made = OdataConnector(Source(SourceId("s"), "none", source, memory=tmp_path))
    how = replace(HOW, columns=("ID", "changed"), updated="changed")
    rows, cursor = read_all(made, replace(PLAN, how=how))
    assert sorted(str(row["ID"]) for row in rows) == sorted(real)
    assert read_all(made, replace(PLAN, how=how), cursor)[0] == []
    made.close()


def test_without_tokens_links_lead_on_and_the_whole_is_compared(book: Book, tmp_path: Path) -> None:
    book.tracked, book.absolute = "", True
    made = connector(book, tmp_path)
    rows, cursor = read_all(made, PLAN)
    assert len(rows) == 5
    book.rows["O1"]["note"] = "x"
    del book.rows["O4"]
    rows, cursor = read_all(made, PLAN, cursor)
    assert told(rows) == [("O1", "x", "upsert"), ("O4", None, "delete")]
    book.rows.clear()
    with pytest.raises(DependencyUnavailableError, match="nothing is deleted for that"):
        read_all(made, PLAN, cursor)
    made.close()


@pytest.mark.parametrize(("link", "pages"), [("Orders?$token=all!0", 2), ("", 1)])
def test_a_service_that_leads_in_a_circle_is_named(
    book: Book, tmp_path: Path, link: str, pages: int
) -> None:
    book.tracked = ""
    rows = [{"ID": str(n)} for n in range(1000)]
    page: dict[str, object] = {"value": rows, **({"@odata.nextLink": link} if link else {})}
    book._page = lambda _asked: Answer(page)
    made = connector(book, tmp_path)
    cursor = None
    for _ in range(pages):
        cursor = made.read(PLAN, cursor).cursor
    with pytest.raises(ConfigurationError, match="the same page again"):
        made.read(PLAN, cursor)
    made.close()


def test_a_link_to_another_server_is_not_followed(book: Book, tmp_path: Path) -> None:
    book.tracked = ""
    link = {"value": [{"ID": "1"}], "@odata.nextLink": "http://127.0.0.2:1/Orders"}
    book._page = lambda _asked: Answer(link)
    made = connector(book, tmp_path)
    with pytest.raises(ConfigurationError, match=r"another server, 127\.0\.0\.2"):
        read_all(made, PLAN)
    made.close()


def test_maintenance_is_told_in_the_source_s_words_and_passes(book: Book, tmp_path: Path) -> None:
    made = connector(book, tmp_path)
    page = made.read(PLAN, None)
    book.is_down = True
    with pytest.raises(DependencyUnavailableError, match=r"in maintenance.*HTTP 503: 维护中\)"):
        made.read(PLAN, page.cursor)
    book.is_down = False
    rows, _ = read_all(made, PLAN, page.cursor)
    assert page.rows is not None
    assert page.rows["ID"].to_pylist() + [row["ID"] for row in rows] == [f"O{n}" for n in range(5)]
    made.close()


def test_what_v2_writes_is_read(book: Book, tmp_path: Path) -> None:
    book.version, book.tracked = "1.0", ""
    lines = {"results": [{"n": 1.10, "at": "/Date(0)/", "__metadata": {}}]}
    row = {
        "__metadata": {"uri": "x"}, "ID": "1", "note": None, "changed": "/Date(1709251200000)/",
        "lines": lines,
    }  # fmt: skip
    book._page = lambda _asked: Answer({"d": {"results": [row]}})
    how = replace(HOW, columns=("ID", "note", "changed", "lines"), expand=("lines",))
    made = connector(book, tmp_path)
    plan = replace(PLAN, how=replace(how, updated="changed"))
    (found,), cursor = read_all(made, plan)
    assert (found["changed"], found["lines"]) == (
        "2024-03-01T00:00:00", '[{"at":"1970-01-01T00:00:00","n":"1.1"}]',
    )  # fmt: skip
    assert read_all(made, plan, cursor)[0] == []
    assert book.server is not None
    query = book.server.asked[-1].query
    assert query["$filter"] == "changed ge datetime'2024-02-29T23:55:00'"
    assert (query["$expand"], query["$select"]) == ("lines", "ID,note,changed,lines")
    made.close()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "no XML"),
        (b"{}", "no XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "XML"),
    ],
)
def test_what_is_no_metadata_is_named(book: Book, tmp_path: Path, body: bytes, says: str) -> None:
    assert book.server is not None
    book.server.says = lambda _asked: Answer(body)
    made = connector(book, tmp_path)
    with pytest.raises(ConfigurationError, match=says):
        read_all(made, PLAN)
    made.close()


def test_keys_are_read_out_of_addresses() -> None:
    kinds = {"a": "Edm.String", "b": "Edm.Int32"}
    two = Entity("S", ("a", "b"), kinds, frozenset(), ())
    one = Entity("S", ("a",), kinds, frozenset(), ())
    for text, entity, keys in (
        ("http://h/x/S(a='x,(y)''',b=-1)", two, {"a": "x,(y)'", "b": "-1"}),
        ("S(12)", one, {"a": "12"}),
        ("S(guid'0-1')", one, {"a": "0-1"}),
        ("nothing", one, {}),
    ):
        assert keys_of(text, entity) == keys, text

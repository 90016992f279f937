"""Things behind an interface that gives pages in every form, and plans that read them."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from connectors.base import Source, StreamPlan
from connectors.fields import Fields
from connectors.kinds import rest
from connectors.kinds.rest import RestConnector, RestSource, RestStream
from kernel import clock
from kernel.ids import ContractId, SourceId
from tests.connectors.web.server import Answer, Asked, Server

MAPPING = "select id as key, note, changed as at, _op from rows"
NOW = datetime(2024, 3, 1, 8, tzinfo=clock.SHANGHAI)
FORM = "%Y-%m-%d %H:%M:%S"
BASE = {
    "ask": {"path": "things", "query": {"since": "{since}", "limit": "{limit}", "at": "{cursor}"}},
    "rows": "data.list",
    "columns": ["id", "note", "changed"],
    "keys": ["id"],
    "updated": ["changed"],
    "moment": FORM,
    "ok": {"path": "code", "equals": "0"},
    "error": "message",
}
PAGINGS = {
    "page": {"by": "page", "limit": 3},
    "short": {"by": "page", "limit": 3, "short_is_last": True},
    "offset": {"by": "offset", "limit": 3},
    "key": {"by": "key", "column": "id", "limit": 3},
    "cursor": {"by": "cursor", "next": "data.next", "limit": 3},
    "link": {"by": "link", "limit": 3},
    "link_in_answer": {"by": "link", "next": "data.link", "limit": 3},
}
PLACE = {"page": "{page}", "short": "{page}", "offset": "{offset}"}


class Shelf:
    """Things behind an interface that gives pages in every form."""

    def __init__(self, by: str) -> None:
        self.by, self.things = by, dict[int, dict[str, object]]()
        self.down: Answer | None = None
        self.forgets: set[str] = set()
        self.clock: datetime | None = None
        self.renamed = ""

    def put(self, key: int, note: object, changed: str | None = "") -> None:
        at = NOW.strftime(FORM) if changed == "" else changed
        self.things[key] = {"id": key, "note": note, "changed": at}

    def fill(self, count: int) -> None:
        for key in range(1, count + 1):
            self.put(key, f"n{key}", (NOW + timedelta(seconds=key)).strftime(FORM))

    def __call__(self, asked: Asked) -> Answer:
        if self.down:
            return self.down
        place, limit = asked.query.get("at", ""), int(asked.query["limit"])
        if place in self.forgets:
            self.forgets.remove(place)
            return Answer({"code": 7, "message": "cursor expired"}, 410)
        since = asked.query.get("since", "")
        found = [
            each for _, each in sorted(self.things.items())
            if each["changed"] is None or str(each["changed"]) >= since
        ]  # fmt: skip
        start = int(place or 0)
        if self.by in ("page", "short"):
            start = (start - 1) * limit
        elif self.by in ("key", "cursor", "link", "link_in_answer"):
            found, start = [each for each in found if int(str(each["id"])) > start], 0
        rows = found[start : start + limit]
        more = start + limit < len(found)
        last = str(rows[-1]["id"]) if rows and more else None
        rows = [{name: row[name] for name in row if name != self.renamed} for row in rows]
        onward = f"/things?since={since}&limit={limit}&at={last}" if last else None
        data = {"list": rows, "next": last, "link": onward}
        headers = {"Link": f'<{onward}>; rel="next"'} if onward and self.by == "link" else {}
        if self.clock:
            headers["Date"] = format_datetime(self.clock.astimezone(UTC), usegmt=True)
        return Answer({"code": 0, "data": data}, 200, headers)


def stream(**changes: object) -> RestStream:
    return rest.stream_of(Fields({**BASE, **changes}, Path("preset.yaml"), "streams[0]"))


def plan_of(by: str, **changes: object) -> StreamPlan[RestStream]:
    query = {"since": "{since}", "limit": "{limit}", "at": PLACE.get(by, "{cursor}")}
    if by.startswith("link"):
        del query["at"]
    ask = {"path": "things", "query": query}
    how = stream(**{"ask": ask, "paging": PAGINGS[by], **changes})
    return StreamPlan(ContractId("test.row.v1"), "1.0.0", MAPPING, how)


def open_at(server: Server, memory: Path, **options: int) -> RestConnector:
    way = RestSource(server.way(), **options)
    return RestConnector(Source(SourceId("s"), "none", way, memory=memory))

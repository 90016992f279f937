"""Any JSON over HTTP: requests as a preset writes them, page by page, since what was last seen."""

import hashlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pyarrow as pa
from pydantic import TypeAdapter
from typing_extensions import override

from connectors import comparing
from connectors.base import Connector, NoCatalogueError, Offer, Page, Sample, Source, StreamPlan
from connectors.cursor import REMEMBERED, readable
from connectors.extras import extra
from connectors.fields import Fields
from connectors.memory import Memory
from connectors.passes import Passes
from connectors.web.login import Login, Request, check_of, login_of, request_of
from connectors.web.moments import Moments, moments_of
from connectors.web.paging import Paging, paging_of, require_new
from connectors.web.replies import Check, Reply, complaint, require_list
from connectors.web.replies import at as found_at
from connectors.web.rows import require_names, rows_of, table_of
from connectors.web.templates import Value, fill, fill_texts, require_known
from connectors.web.way import Way
from connectors.web.way import way_of as server_of
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.skew import Clock

LOOKBACK_SECONDS = 300
PLACES = {"since", "until", "page", "offset", "cursor", "limit", "columns", "column_names"}
# A source may filter behind its pages, but not for ever.
_MOST_EMPTY = 1000
_CURE = (
    "correct the stream's `paging`: the request must ask for the page that it wants; if the source"
    " repeats its last page, say `short_is_last: true`."
)
EXAMPLE = {
    "address": "https://erp.example/api/",
    "login": {"user": "reader", "password": "${NPLUSX_ERP_PASSWORD}"},
}


@dataclass(frozen=True, slots=True)
class RestStream:
    """What is asked for, where the rows stand in the answer, and what tells them apart.

    Without a column that tells the last change all rows are read each time, and compared with
    what they were.
    """

    ask: Request
    rows: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    # The latest of these is when a row last changed.
    updated: tuple[str, ...] = ()
    moments: Moments = field(default_factory=Moments)
    paging: Paging = field(default_factory=Paging)
    check: Check = field(default_factory=Check)
    login: Login = field(default_factory=Login)


@dataclass(frozen=True, slots=True)
class RestSource:
    """A server, and how it is read."""

    server: Way
    # Fewer rows a page than the preset says; nothing: as many as that.
    page_rows: int = 0
    lookback_seconds: int = LOOKBACK_SECONDS


@dataclass(frozen=True, slots=True)
class _Cursor:
    """A pass asks for what changed since a moment; the next one begins a little before its end."""

    since: datetime | None = None
    # Of the pass that is not at its end: when it began, by the clock that was behind and by
    # ours, and where its next page begins.
    began: datetime | None = None
    until: datetime | None = None
    at: str = ""
    newest: datetime | None = None
    # Digest of each row that this pass will meet again, and then the next one, with its moment.
    seen: Mapping[str, datetime | None] = field(default_factory=dict)
    met: Mapping[str, datetime | None] = field(default_factory=dict)
    # What is kept of the rows of the last pass, and of this one so far.
    known: tuple[str, ...] = ()
    now: tuple[str, ...] = ()


_Plan = StreamPlan[RestStream]
_Rows = list[dict[str, str | None]]
_CURSOR = TypeAdapter(_Cursor)


def stream_of(fields: Fields) -> RestStream:
    """Read what a preset says of a stream."""
    ask, own = request_of(fields.section("ask")), fields.names("with")
    template = (ask.path, dict(ask.query), dict(ask.headers), ask.body, dict(ask.form))
    require_known(template, PLACES | set(own), f"{fields.where}, ask")
    login = fields.optional("login")
    stream = RestStream(
        _filled(ask, dict(own)),
        fields.text("rows", ""),
        fields.texts("columns"),
        fields.texts("keys"),
        fields.texts("updated", ()),
        moments_of(fields),
        paging_of(fields.optional("paging")),
        check_of(fields),
        Login() if login is None else login_of(login),
    )
    if login is not None:
        login.done()
    named = {*stream.keys, *stream.updated, stream.paging.column} - {""}
    if odd := sorted(named - set(stream.columns)):
        raise ConfigurationError(
            f"{odd[0]} is not among the stream's columns.",
            where=fields.where,
            cure="add it to `columns`.",
        )
    return stream


def way_of(fields: Fields) -> RestSource:
    """Read what an agent's file says of a server."""
    return RestSource(
        server_of(fields),
        fields.whole("page_rows", 0),
        fields.whole("lookback_seconds", LOOKBACK_SECONDS),
    )


def open_source(source: Source[RestSource]) -> "RestConnector":
    """Get ready to read a server; nothing is asked of it yet."""
    return RestConnector(source)


class RestConnector(Connector[RestStream]):
    """Asks for what changed since the last pass; what was told then is not told again."""

    def __init__(self, source: Source[RestSource]) -> None:
        with extra("rest"):
            from connectors.web.clients import Clients

        self._source, self._way = source, source.way
        self._where = f"source {source.id}, {source.way.server.address}"
        self._clients = Clients(source.way.server, source.id)
        self._passes = Passes()

    @override
    def read(self, plan: _Plan, cursor: str | None) -> Page:
        return self._passes.read(plan.contract, cursor, lambda at: self._pass(plan, _loads(at)))

    def _pass(self, plan: _Plan, at: _Cursor) -> Generator[Page]:
        """Read from a place to the end, a page at a time."""
        how, memory = plan.how, Memory(self._source.memory / plan.contract)
        memory.forget_all_but((*at.known, *at.now))
        known = None if how.updated else memory.recall(at.known)
        met: set[bytes] = set()
        more, empty = True, 0
        while more:
            rows, after, at = self._next(plan, at, resumed=not met)
            if after:
                empty = 0 if rows else empty + 1
                require_new(met, rows or after, self._at(plan), _CURE)
                _require_few(empty, self._at(plan))
            more, at = bool(after), replace(at, at=after)
            if how.updated:
                table, at = self._by_change(plan, at, rows)
            else:
                table, at = self._by_content(plan, at, rows, known, memory)
            yield Page(table if table.num_rows else None, _dumps(at), more)

    def _next(self, plan: _Plan, at: _Cursor, *, resumed: bool) -> tuple[_Rows, str, _Cursor]:
        """Take the page at a place; where a server forgot its own place, begin the pass anew."""
        now = clock.now()
        at = at if at.began else replace(at, until=now)
        try:
            rows, after, clock_there = self._page(plan, at)
        except ConfigurationError:
            if not (resumed and at.at and plan.how.paging.by in ("cursor", "link")):
                raise
            at = replace(at, at="", began=None, until=now, now=())
            rows, after, clock_there = self._page(plan, at)
        # Its clock may be behind ours, and what it says of changes is by its own.
        return rows, after, replace(at, began=at.began or min(now, clock_there or now))

    def _at(self, plan: _Plan) -> str:
        return f"{self._where}, stream {plan.contract}"

    def _page(self, plan: _Plan, at: _Cursor) -> tuple[_Rows, str, datetime | None]:
        """Ask for a page; tell its rows, where the next one begins, and the server's time."""
        answer, reply, paging = self._answer(plan, at)
        rows = self._rows(plan, answer)
        return rows, paging.after(at.at, rows, answer, reply), reply.date

    def _rows(self, plan: _Plan, answer: object) -> _Rows:
        how, where = plan.how, self._at(plan)
        found = require_list(answer, how.rows, where)
        require_names(found, how.keys, where)
        return rows_of(found, how.columns, where)

    def _answer(self, plan: _Plan, at: _Cursor) -> tuple[object, Reply, Paging]:
        how, where = plan.how, self._at(plan)
        limit = min(how.paging.limit, self._way.page_rows or how.paging.limit)
        paging = replace(how.paging, limit=limit)
        request = _filled(how.ask, self._places(how, paging, at))
        if how.paging.by == "link" and at.at:
            request = Request(at.at, headers=request.headers)
        answer, reply = self._clients.under(how.login).json(request, plan.contract)
        if said := complaint(answer, how.check):
            raise DependencyUnavailableError(
                f"The source answers with an error: {said}",
                where=where,
                cure="do what it says; if it knows no such form or field, check that the preset"
                " fits the product's version.",
            )
        return answer, reply, paging

    def _places(self, how: RestStream, paging: Paging, at: _Cursor) -> dict[str, Value]:
        zone = self._source.zone
        return {
            "since": how.moments.write(at.since, zone),
            "until": how.moments.write(at.until, zone),
            "limit": paging.limit,
            "columns": list(how.columns),
            "column_names": ",".join(how.columns),
            **paging.place(at.at),
        }

    def _by_change(self, plan: _Plan, at: _Cursor, rows: _Rows) -> tuple[pa.Table, _Cursor]:
        """Leave out what was seen in the pass before, and note what the next one will see."""
        told, met, newest = [], dict(at.met), at.newest
        moments = self._moments(plan, rows, is_known=bool(at.newest or at.since))
        for row, moment in zip(rows, moments, strict=True):
            digest = hashlib.blake2b(repr(row).encode(), digest_size=12).hexdigest()
            newest = max(filter(None, (newest, moment)), default=None)
            # A source may compare days only: what is older was not asked for.
            is_old = moment and at.since and moment < at.since
            if not is_old and digest not in at.seen and digest not in met:
                told.append(row)
            met[digest] = moment
        start = self._start(at, newest)
        late = [(e, on) for e, on in met.items() if on is None or not start or on >= start]
        kept = replace(at, newest=newest, met=dict(late[-REMEMBERED:]))
        if not at.at:
            kept = _Cursor(since=start, seen=kept.met)
        return table_of(told, plan.how.columns), kept

    def _start(self, at: _Cursor, newest: datetime | None) -> datetime | None:
        """Tell from which moment on the next pass asks.

        What changes while a pass is under way may lie where it was already, so no later than a
        little before the pass began.
        """
        if newest is None or at.began is None:
            return at.since
        start = min(newest, at.began) - timedelta(seconds=self._way.lookback_seconds)
        return start if at.since is None else max(start, at.since)

    def _moments(self, plan: _Plan, rows: _Rows, *, is_known: bool) -> list[datetime | None]:
        """Tell when rows changed; an odd text among others is its row's trouble, for the gate."""
        moments, zone, odd = plan.how.moments, self._source.zone, ""
        found: list[datetime | None] = []
        for row in rows:
            said = [each for name in plan.how.updated if (each := row[name])]
            try:
                found.append(max((moments.read(each, zone) for each in said), default=None))
            except (ValueError, OverflowError):
                odd = odd or f"{', '.join(said):.60}"
                found.append(None)
        if odd and not (is_known or any(found)):
            raise ConfigurationError(
                f"{odd} is not a moment.",
                where=self._at(plan),
                cure="say how the product writes moments as the stream's `moment`, such as"
                " '%Y-%m-%d %H:%M:%S'.",
            )
        return found

    def _by_content(
        self, plan: _Plan, at: _Cursor, rows: _Rows, known: pa.Table | None, memory: Memory
    ) -> tuple[pa.Table, _Cursor]:
        """Leave out what is as it was when everything was last read."""
        keys, told, now = plan.how.keys, table_of(rows, plan.how.columns), at.now
        if rows:
            view = comparing.view_of(told, keys)
            told, now = comparing.changed(told, view, known), (*now, memory.keep(view))
        if at.at:
            return told, replace(at, now=now)
        present = memory.recall(now)
        present = pa.table({}) if present is None else present
        cure = f"remove the folder {self._source.memory / plan.contract}"
        gone = comparing.gone(known, present, keys, self._at(plan), cure)
        return pa.concat_tables([told, *gone], promote_options="permissive"), _Cursor(known=now)

    @override
    def rest(self, plan: _Plan, /) -> None:
        self._passes.rest(plan.contract)

    @override
    def sample(self, plan: _Plan) -> Sample:
        answer, _, _ = self._answer(plan, _Cursor(until=clock.now()))
        rows = self._rows(plan, answer)
        how, table = plan.how, table_of(rows, plan.how.columns)
        if how.rows and found_at(answer, how.rows) is None:
            there = ", ".join(map(str, answer)) if isinstance(answer, dict) else "a list"
            return Sample(
                table,
                f"The answer has nothing at {how.rows}, but {there or 'nothing at all':.80}.",
                "correct the stream's `rows`, unless the source leaves it out while it has none.",
            )
        needed = dict.fromkeys((*how.keys, *how.updated))
        # One of several moments may be empty in all of a few rows.
        silent = [name for name in needed if rows and not table[name].drop_null()]
        if not silent or (set(silent) < set(how.updated)):
            return Sample(table)
        return Sample(
            table,
            f"No row of the first page has {', '.join(silent)}.",
            "check that the product still calls them so.",
        )

    @override
    def discover(self) -> Iterator[Offer]:
        raise NoCatalogueError(
            "A REST source has no catalogue.",
            where=self._where,
            cure="write the product's documented requests into a preset.",
        )

    @override
    def clock(self) -> Clock | str:
        return self._clients.clock

    @override
    def product(self) -> str:
        return self._clients.product

    @override
    def close(self) -> None:
        self._passes.close()
        self._clients.close()


def _filled(ask: Request, values: Mapping[str, Value]) -> Request:
    query, headers, form = (fill_texts(e, values) for e in (ask.query, ask.headers, ask.form))
    path, body = str(fill(ask.path, values)), fill(ask.body, values)
    return Request(path, ask.method, query, headers, body, form)


def _require_few(empty: int, where: str) -> None:
    """Complain of ever other places with nothing at any of them."""
    if empty > _MOST_EMPTY:
        raise ConfigurationError(
            f"The source gives {empty} empty pages, one after the other.", where=where, cure=_CURE
        )


def _dumps(at: _Cursor) -> str:
    return _CURSOR.dump_json(at).decode()


def _loads(text: str | None) -> _Cursor:
    if text is None:
        return _Cursor()
    with readable("it then reads the source from the beginning"):
        return _CURSOR.validate_json(text)

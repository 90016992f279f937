"""OData services of V2 and V4: by change, by delta token, or whole, page by page."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
from typing_extensions import override

from connectors import comparing
from connectors.base import Connector, Offer, Page, Sample, Source, StreamPlan
from connectors.extras import extra
from connectors.fields import Fields
from connectors.memory import Memory
from connectors.odata.model import MOMENTS, Service
from connectors.odata.place import Place, dumps, ended, forgetting, has_more, loads, onward, unseen
from connectors.odata.protocol import (
    Answer,
    Row,
    address_of,
    answer_of,
    headers_of,
    moment_of,
    row_of,
    tracks,
)
from connectors.odata.wanted import Wanted
from connectors.passes import Passes
from connectors.web.complaints import RefusedError
from connectors.web.login import Login, Request, login_of
from connectors.web.paging import require_new
from connectors.web.rows import table_of
from connectors.web.way import Way
from connectors.web.way import way_of as server_of
from kernel import clock
from kernel.errors import ConfigurationError
from kernel.skew import Clock

PAGE_ROWS = 1000
LOOKBACK_SECONDS = 300
_FEW = 3
_TRACK = ("auto", "always", "never")
_CATALOGUE_SECONDS = 3600
EXAMPLE = {
    "address": "https://erp.example/odata/v4/service/",
    "login": {"user": "reader", "password": "${NPLUSX_SOURCE_PASSWORD}"},
}


@dataclass(frozen=True, slots=True)
class OdataStream:
    """An entity set; what is not said of it its metadata says.

    Without a column that tells the last change, and without delta tokens, all rows are read each
    time and compared with what they were.
    """

    entity: str
    columns: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    updated: str = ""
    # Whether moments stand in filters as days in quotes, as a Service Layer wants them.
    quoted: bool = False
    # Whether to ask for tokens of changes; auto: where the metadata offers them.
    track: str = "auto"
    login: Login = field(default_factory=lambda: Login("basic"))


@dataclass(frozen=True, slots=True)
class OdataSource:
    """A service, and how it is read."""

    server: Way
    page_rows: int = PAGE_ROWS
    lookback_seconds: int = LOOKBACK_SECONDS


_Plan = StreamPlan[OdataStream]
_CURE = "update the service; until then raise the source's `page_rows` above the number of rows."
_FORGOTTEN = "the source forgot its token of changes: all is read anew, deletes are not known"


def stream_of(fields: Fields) -> OdataStream:
    """Read what a preset says of a stream."""
    login = fields.optional("login")
    stream = OdataStream(
        fields.text("entity"),
        fields.texts("columns", ()),
        fields.texts("expand", ()),
        fields.texts("keys", ()),
        fields.text("updated", ""),
        fields.flag("quoted", default=False),
        fields.choice("track", _TRACK, "auto"),
        Login("basic") if login is None else login_of(login),
    )
    if login is not None:
        login.done()
    return stream


def way_of(fields: Fields) -> OdataSource:
    """Read what an agent's file says of a service."""
    return OdataSource(
        server_of(fields),
        fields.whole("page_rows", PAGE_ROWS),
        fields.whole("lookback_seconds", LOOKBACK_SECONDS),
    )


def open_source(source: Source[OdataSource]) -> "OdataConnector":
    """Get ready to read a service; nothing is asked of it yet."""
    return OdataConnector(source)


class OdataConnector(Connector[OdataStream]):
    """Asks for what changed since the last pass; what was told then is not told again."""

    def __init__(self, source: Source[OdataSource]) -> None:
        with extra("odata"):
            from connectors.odata import metadata
            from connectors.web.clients import Clients

        self._source, self._way = source, source.way
        self._where = f"source {source.id}, {source.way.server.address}"
        self._metadata = metadata
        self._clients = Clients(source.way.server, source.id)
        self._service: Service | None = None
        self._service_until = 0.0
        self._passes = Passes()

    @override
    def read(self, plan: _Plan, cursor: str | None) -> Page:
        return self._passes.read(plan.contract, cursor, lambda at: self._pass(plan, loads(at)))

    def _pass(self, plan: _Plan, at: Place) -> Generator[Page]:
        """Read from a place to the end, a page at a time."""
        told, memory = self._set(plan), Memory(self._source.memory / plan.contract)
        memory.forget_all_but((*at.known, *at.now))
        known = None if told.updated else memory.recall(at.known)
        holes: tuple[str, ...] = ()
        more, resumed, met = True, True, set[bytes]()
        while more:
            if at.began is None:
                at = replace(at, began=self._now(told), link=at.delta)
            try:
                answer, applied = self._ask(plan, told, at)
            except RefusedError:
                if not (at.link and resumed):
                    raise
                # The source forgot its own link: what it led to is asked for anew.
                holes = (_FORGOTTEN,) if at.link == at.delta else ()
                at = at.without_link()
                continue
            resumed = False
            if not (at.link or at.skip):
                met.clear()
            require_new(met, at.link or answer.rows or at.skip, self._at(plan), _CURE)
            left = (at.left if at.link else self._way.page_rows) - len(answer.rows)
            at = replace(at, left=left, tracked=at.tracked or tracks(applied))
            if at.delta or at.tracked:
                table, at = self._by_token(plan, told, at, answer)
            elif told.updated:
                table, at = self._by_change(told, at, answer)
            else:
                table, at = self._by_content(plan, told, at, answer, known)
            more = at.began is not None
            yield Page(table if table.num_rows else None, dumps(at), more, holes)
            holes = ()

    def _now(self, told: Wanted) -> datetime:
        """Tell the time as the source writes it."""
        if told.kind == "Edm.DateTimeOffset" or not told.updated:
            return clock.now()
        return clock.now().astimezone(ZoneInfo(self._source.zone)).replace(tzinfo=UTC)

    def _ask(self, plan: _Plan, told: Wanted, at: Place) -> tuple[Answer, str]:
        headers = headers_of(told.version, self._way.page_rows, track=told.tracks and at.is_start)
        request = Request(at.link, headers=headers)
        if not at.link:
            query = told.query(at, self._way.page_rows)
            request = Request(plan.how.entity, query=query, headers=headers)
        said, reply = self._clients.under(plan.how.login).json(request, plan.contract)
        applied = reply.headers.get("preference-applied", "")
        return answer_of(said, told.entity, self._at(plan)), applied

    def _by_change(self, told: Wanted, at: Place, answer: Answer) -> tuple[pa.Table, Place]:
        """Leave out what was seen before; go on behind the last moment."""
        back = timedelta(seconds=self._way.lookback_seconds)
        rows = [row_of(each, told.columns, told.entity) for each in answer.rows]
        moments = [self._moment(told, each) for each in answer.rows]
        new, at = unseen(at, rows, moments)
        if has_more(at, answer):
            at = onward(at, moments, answer.next, told.kind)
        elif told.has_undated and not at.undated:
            at = replace(at, undated=True, link="", skip=0)
        else:
            at = ended(at, back, told.kind)
        return table_of(new, told.columns), forgetting(at, back, told.kind)

    def _moment(self, told: Wanted, row: Mapping[str, object]) -> datetime | None:
        text = row_of(row, (told.updated,), told.entity)[told.updated]
        try:
            return None if text is None else moment_of(text)
        except ValueError as odd:
            raise ConfigurationError(
                f"{text:.60} is not a moment.",
                where=self._where,
                cure=f"name another property than {told.updated} as the stream's `updated`.",
            ) from odd

    def _by_token(
        self, plan: _Plan, told: Wanted, at: Place, answer: Answer
    ) -> tuple[pa.Table, Place]:
        """Take what the source says of changes and deletes."""
        found = [self._whole(plan, told, each) if at.delta else each for each in answer.rows]
        rows = [row_of(each, told.columns, told.entity) for each in found]
        table = table_of(rows, told.columns)
        if answer.removed:
            empty: Row = dict.fromkeys(told.columns)
            gone = table_of([{**empty, **each} for each in answer.removed], told.columns)
            gone = gone.append_column("_op", pa.repeat("delete", gone.num_rows))
            table = pa.concat_tables([table, gone], promote_options="permissive")
        if answer.next:
            return table, replace(at, link=answer.next)
        if not answer.delta:
            raise ConfigurationError(
                "The source promised a token of changes and gives none.",
                where=self._at(plan),
                cure="say `track: never` in the preset's stream, and name its `updated`.",
            )
        return table, Place(delta=answer.delta)

    def _whole(self, plan: _Plan, told: Wanted, row: Mapping[str, object]) -> Mapping[str, object]:
        """Ask for a row of which the source told no more than what changed."""
        if all(name in row for name in told.columns):
            return row
        query = {"$expand": ",".join(plan.how.expand)} if plan.how.expand else {}
        headers = headers_of(told.version, 1, track=False)
        request = Request(address_of(row, told.entity), query=query, headers=headers)
        whole, _ = self._clients.under(plan.how.login).json(request, plan.contract)
        return whole if isinstance(whole, dict) else row

    def _by_content(
        self,
        plan: _Plan,
        told: Wanted,
        at: Place,
        answer: Answer,
        known: pa.Table | None,
    ) -> tuple[pa.Table, Place]:
        """Leave out what is as it was when everything was last read."""
        if not at.known and answer.delta and not answer.next:
            # It gave a token without having promised one.
            at = replace(at, tracked=True)
        memory, now = Memory(self._source.memory / plan.contract), at.now
        rows = [row_of(each, told.columns, told.entity) for each in answer.rows]
        table = table_of(rows, told.columns)
        if rows:
            view = comparing.view_of(table, told.keys)
            table, now = comparing.changed(table, view, known), (*now, memory.keep(view))
        if has_more(at, answer):
            skip = at.skip + len(rows)
            return table, replace(at, now=now, link=answer.next, skip=skip)
        if at.tracked:
            return table, Place(delta=answer.delta)
        present = memory.recall(now)
        present = pa.table({}) if present is None else present
        cure = f"remove the folder {self._source.memory / plan.contract}"
        gone = comparing.gone(known, present, told.keys, self._at(plan), cure)
        table = pa.concat_tables([table, *gone], promote_options="permissive")
        return table, Place(known=now)

    def _set(self, plan: _Plan) -> Wanted:
        """Find what a stream reads in what the service says of itself."""
        try:
            return self._found(plan)
        except ConfigurationError:
            # What is mended at the source is seen at once.
            self._service = None
            raise

    def _found(self, plan: _Plan) -> Wanted:
        how, where = plan.how, self._at(plan)
        service = self._described(how.login)
        entity = service.find(how.entity, where)
        columns = how.columns or (*entity.types, *how.expand)
        keys = how.keys or entity.keys
        if not keys:
            raise ConfigurationError(
                f"{how.entity} has no key.",
                where=where,
                cure="name what tells its rows apart as the stream's `keys`.",
            )
        entity.require((*columns, *how.expand, *keys, *filter(None, [how.updated])), where)
        if how.updated and entity.types.get(how.updated) not in MOMENTS:
            raise ConfigurationError(
                f"{how.updated} is of type {entity.types.get(how.updated)}, which is no moment.",
                where=where,
                cure="name a property of dates or times, or leave `updated` out.",
            )
        columns = (*columns, *(each for each in keys if each not in columns))
        tracks_it = how.track == "always" or (how.track == "auto" and entity.tracks)
        return Wanted(
            service.version,
            entity,
            columns,
            keys,
            how.updated,
            expand=how.expand,
            selects=bool(how.columns),
            tracks=tracks_it,
            quoted=how.quoted,
        )

    def _described(self, login: Login) -> Service:
        if self._service is None or clock.monotonic() >= self._service_until:
            headers = {"Accept": "application/xml"}
            request = Request("$metadata", headers=headers)
            reply = self._clients.under(login).ask(request, "$metadata")
            self._service = self._metadata.read(reply.body, self._where)
            self._service_until = clock.monotonic() + _CATALOGUE_SECONDS
        return self._service

    def _at(self, plan: _Plan) -> str:
        return f"{self._where}, stream {plan.contract}"

    @override
    def rest(self, plan: _Plan, /) -> None:
        self._passes.rest(plan.contract)

    @override
    def sample(self, plan: _Plan) -> Sample:
        told = self._set(plan)
        small = OdataConnector(replace(self._source, way=replace(self._way, page_rows=_FEW)))
        small._clients = self._clients
        answer, _ = small._ask(plan, told, Place(began=clock.now()))
        rows = [row_of(each, told.columns, told.entity) for each in answer.rows[:_FEW]]
        if not rows:
            return Sample(None, "The source has no such rows yet.", "enter one, or wait.")
        return Sample(table_of(rows, told.columns))

    @override
    def discover(self) -> Iterator[Offer]:
        basic = {"user", "password"} <= set(self._way.server.login)
        for name, entity in self._described(Login("basic" if basic else "none")).entities.items():
            how: dict[str, object] = {"entity": name, "columns": [*entity.types]}
            if entity.keys:
                how["keys"] = [*entity.keys]
            if entity.likely:
                how["updated"] = entity.likely
            yield Offer(name, dict(entity.types), how)

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

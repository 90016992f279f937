"""Follows tables by the log of changes that the database keeps anyway: nothing is asked twice."""

import hashlib
import re
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import override

from connectors.base import Connector, Offer, Page, Sample, Source, StreamPlan
from connectors.cdc.log import CdcStream, Door, Log, LostError, Spot, dumps, loads
from connectors.cdc.pages import Cut, Cutter
from connectors.extras import extra
from connectors.fields import Fields
from connectors.passes import Passes
from connectors.sql.complaints import plain
from connectors.sql.streams import Database, parsed, shown
from kernel import clock
from kernel.errors import ConfigurationError
from kernel.skew import Clock

PAGE_ROWS = 20_000
SLOT = PUBLICATION = "nplusx"
# What PostgreSQL leaves of a longer name.
_NAME = 63
EXAMPLE = {"url": "postgresql://reader:${NPLUSX_SOURCE_PASSWORD}@192.0.2.10:5432/database"}
_Plan = StreamPlan[CdcStream]


@dataclass(frozen=True, slots=True)
class CdcSource:
    """A database, and what an administrator has prepared in it."""

    url: str
    # PostgreSQL: of which publication the tables are, and how our slots' names begin.
    publication: str = PUBLICATION
    slot: str = SLOT
    page_rows: int = PAGE_ROWS


def stream_of(fields: Fields) -> CdcStream:
    """Read what a preset says of a stream."""
    return CdcStream(fields.text("table"), fields.texts("keys"))


def way_of(fields: Fields) -> CdcSource:
    """Read what an agent's file says of a database."""
    return CdcSource(
        fields.text("url"),
        fields.text("publication", PUBLICATION),
        fields.text("slot", SLOT),
        fields.whole("page_rows", PAGE_ROWS),
    )


def open_source(source: Source[CdcSource]) -> "CdcConnector":
    """Get ready to follow a database; nothing is asked of it yet."""
    return CdcConnector(source)


class CdcConnector(Connector[CdcStream]):
    """Reads each table once as a whole, then what its database logs of it, in that order."""

    def __init__(self, source: Source[CdcSource]) -> None:
        self._source, self._way = source, source.way
        self._url = parsed(source.way.url, source.id)
        self._where = f"source {source.id}, {shown(self._url)}"
        self._passes = Passes()
        self._log = _log_of(self._url, source)

    @override
    def read(self, plan: _Plan, cursor: str | None) -> Page:
        return self._passes.read(plan.contract, cursor, lambda at: self._pass(plan, at))

    @override
    def again(self, plan: _Plan, /) -> str:
        return dumps(Spot(self._slot(plan)))

    def _pass(self, plan: _Plan, cursor: str | None) -> Generator[Page]:
        spot = loads(cursor) if cursor else Spot(self._slot(plan))
        with self._asking(plan.contract), self._log.open(plan.how, spot.slot) as door:
            if self._source.is_trial:
                yield from _tried(door, self._way.page_rows)
                return
            if cursor is None:
                # The name is safe before the slot is made: after a kill it is known for ours.
                door.claim()
                yield Page(None, dumps(spot), more=True)
            try:
                for cut, more in self._cuts(door, plan, spot):
                    spot = cut.spot
                    yield Page(cut.rows, dumps(spot), more, cut.holes)
                    door.confirm(spot)
            except LostError as lost:
                yield Page(None, dumps(spot.anew()), more=False, holes=(_hole(plan, spot, lost),))

    def _cuts(self, door: Door, plan: _Plan, spot: Spot) -> Generator[tuple[Cut, bool]]:
        how, size = plan.how, self._way.page_rows
        if not spot.log:
            spot = door.begin(spot)
            yield Cut(None, spot), True
        if spot.place is not None:
            for table, place in door.rows(spot.place, size):
                spot = replace(spot, place=place)
                yield Cut(table, spot), True
            spot = replace(spot, place=None)
        cutter = Cutter(door, how.table, how.keys, spot)
        with closing(door.changes(spot)) as events:
            yield from cutter.cut(events, size)

    def _slot(self, plan: _Plan) -> str:
        """Name what the source keeps its log under: for each stream its own."""
        told = (self._way.slot, self._source.guest, self._source.id, plan.contract)
        said = "_".join(filter(None, told)).lower()
        name = re.sub(r"[^a-z0-9]+", "_", said)
        if len(name) <= _NAME:
            return name
        return f"{name[:40]}_{hashlib.blake2b(said.encode(), digest_size=8).hexdigest()}"

    @override
    def rest(self, plan: _Plan, /) -> None:
        self._passes.rest(plan.contract)

    @override
    def sample(self, plan: _Plan) -> Sample:
        with self._asking(plan.contract):
            return self._log.sample(plan.how, self._slot(plan))

    @override
    def discover(self) -> Iterator[Offer]:
        with self._asking("its catalogue"):
            yield from self._log.offers()

    @override
    def leave(self, plan: _Plan, /) -> None:
        self._passes.rest(plan.contract)
        with self._asking(plan.contract), self._log.open(plan.how, self._slot(plan)) as door:
            door.leave()

    @override
    def clock(self) -> Clock | str:
        with self._asking("its clock"), closing(Database(self._url, self._source.zone)) as asked:
            return asked.clock()

    @override
    def product(self) -> str:
        with self._asking("its release"), closing(Database(self._url, self._source.zone)) as asked:
            return asked.product()

    @override
    def close(self) -> None:
        self._passes.close()
        self._log.close()

    @contextmanager
    def _asking(self, subject: str) -> Iterator[None]:
        """Say in plain words what the database complains of."""
        try:
            yield
        except (*self._log.errors, SQLAlchemyError, OSError, pa.ArrowException) as failed:
            raise plain(str(failed), f"{self._where}, stream {subject}") from failed


def _log_of(url: sa.URL, source: Source[CdcSource]) -> Log:
    way = source.way
    with extra("cdc"):
        if url.get_backend_name() == "postgresql":
            from connectors.cdc.postgres import PostgresLog

            return PostgresLog(url, source.zone, way.publication)
        if url.get_backend_name() in ("mysql", "mariadb"):
            from connectors.cdc.mysql import MysqlLog

            return MysqlLog(url, source.zone)
    raise ConfigurationError(
        "The log of this kind of database cannot be read.",
        where=f"source {source.id}",
        cure="follow PostgreSQL, MySQL or MariaDB so; read others with the kind sql.",
    )


def _tried(door: Door, size: int) -> Generator[Page]:
    """Read a table without holding its log: nobody will come back to let it go."""
    for table, _ in door.rows((), size):
        yield Page(table, "tried", more=True)
    yield Page(None, "tried", more=False)


def _hole(plan: _Plan, spot: Spot, lost: LostError) -> str:
    since = f"{spot.at:%F %T}Z" if spot.at else "the beginning"
    return (
        f"The source's log of {plan.how.table} cannot be read on from {since} until "
        f"{clock.now():%F %T}Z: {lost}. The table is read anew; what was deleted in between is not "
        "told."
    )

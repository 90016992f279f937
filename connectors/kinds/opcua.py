"""Reads OPC UA servers: subscribes to variables, and reads what it missed from their history."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from typing_extensions import override

from connectors.base import Connector, Offer, Page, Sample, Source, StreamPlan
from connectors.certificates import Identity
from connectors.extras import extra
from connectors.fields import Fields
from connectors.inbox import Inbox
from connectors.opcua_plan import COLUMNS, Machine, OpcuaSource, OpcuaStream, Pace, Server
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.skew import Clock

if TYPE_CHECKING:
    from connectors.wires.opcua_feed import Feed
    from connectors.wires.opcua_keeper import Keeper

PAGE_ROWS = 50_000
_SAMPLE_ROWS = 5
_LOOK_SECONDS = 0.2
_TRIES = 3
_Plan = StreamPlan[OpcuaStream]
EXAMPLE = {
    "url": "opc.tcp://192.0.2.10:4840",
    "machines": [{"code": "EQ01", "node": "nsu=urn:maker:press;s=Press1"}],
}


def stream_of(fields: Fields) -> OpcuaStream:
    """Read what a preset says of a stream."""
    usual = Pace()
    pace = Pace(
        fields.whole("sampling_ms", usual.sampling_ms),
        fields.whole("publishing_ms", usual.publishing_ms),
        fields.whole("queue_size", usual.queue_size),
    )
    return OpcuaStream(fields.texts("variables"), pace)


def way_of(fields: Fields) -> OpcuaSource:
    """Read what an agent's file says of a server."""
    files = [fields.file(f, "") for f in ("certificate", "private_key", "server_certificate")]
    if any(files) and not all(files):
        raise ConfigurationError(
            "A secured connection needs three files.",
            where="sources, kind opcua",
            cure="give `certificate`, `private_key` and `server_certificate`, or none of them.",
        )
    server = Server(
        fields.address("url"),
        fields.text("user", ""),
        fields.text("password", ""),
        Identity(*files) if all(files) else None,
        fields.whole("timeout_seconds", 10),
    )
    machines = tuple(_machine(each) for each in fields.sections("machines"))
    return OpcuaSource(server, machines, fields.whole("buffer_rows", 200_000))


def _machine(fields: Fields) -> Machine:
    machine = Machine(fields.text("code"), fields.text("node"))
    fields.done()
    return machine


def open_source(source: Source[OpcuaSource]) -> "OpcuaConnector":
    """Get ready to read a server; nothing is asked of it yet."""
    return OpcuaConnector(source)


class OpcuaConnector(Connector[OpcuaStream]):
    """Hands out what was pushed, and again until the outbox has it."""

    def __init__(self, source: Source[OpcuaSource]) -> None:
        with extra("opcua"):
            from connectors.wires import opcua, opcua_feed, opcua_keeper
        self._way = source.way
        self._open_session = opcua.Session.open
        self._make_feed, self._make_keeper = opcua_feed.Feed, opcua_keeper.Keeper
        self._feeds: dict[str, Feed] = {}
        self._keeper: Keeper | None = None

    @override
    def read(self, plan: _Plan, cursor: str | None) -> Page:
        feed = self._feed(plan, cursor)
        page = feed.inbox.page(cursor, PAGE_ROWS)
        if page.rows is None and not page.holes:
            if not feed.settled.wait(self._way.server.timeout * _TRIES):
                raise DependencyUnavailableError(
                    "The server does not answer in time.",
                    where=self._way.server.url,
                    cure="look at its load, or raise `timeout_seconds`.",
                )
            if wrong := feed.trouble:
                if self._keeper:
                    self._keeper.wake()
                raise wrong
            page = feed.inbox.page(cursor, PAGE_ROWS)
        return page

    @override
    def sample(self, plan: _Plan) -> Sample:
        feed = self._feed(plan, None)
        deadline = clock.monotonic() + self._way.server.timeout
        page = self.read(plan, None)
        while page.rows is None and clock.monotonic() < deadline:
            clock.sleep(_LOOK_SECONDS)
            page = self.read(plan, None)
        rows = None if page.rows is None else page.rows.slice(0, _SAMPLE_ROWS)
        cure = "correct the machine's `node` or the preset's `variables`."
        return Sample(rows, feed.refused, cure if feed.refused else "")

    @override
    def discover(self) -> Iterator[Offer]:
        columns = {each.name: str(each.type) for each in COLUMNS}
        for path in asyncio.run(self._catalogue()):
            yield Offer(path, columns, {"variables": [path]})

    async def _catalogue(self) -> list[str]:
        """List what the machines have; most have the same."""
        session = await self._open_session(self._way.server)
        try:
            found = [await session.variables(each.node) or [] for each in self._way.machines]
        finally:
            await session.close()
        return sorted({each.path for some in found for each in some})

    @override
    def clock(self) -> Clock | str:
        told = self._keeper and self._keeper.clock()
        return told or "The server is not connected yet."

    @override
    def product(self) -> str:
        return (self._keeper and self._keeper.product()) or ""

    @property
    @override
    def passing(self) -> str:
        return "The server sends what changes while it is listened to."

    @override
    def close(self) -> None:
        if self._keeper:
            self._keeper.close()

    def _feed(self, plan: _Plan, cursor: str | None) -> "Feed":
        feed = self._feeds.get(plan.contract)
        if feed is None:
            inbox = Inbox(COLUMNS, self._way.buffer_rows, cursor)
            feed = self._feeds[plan.contract] = self._make_feed(plan.how, inbox)
            self._keeper = self._keeper or self._make_keeper(self._way)
            self._keeper.add(feed)
        return feed

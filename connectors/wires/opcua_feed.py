"""One stream of an OPC UA server: what it wants, what came, what was missed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from connectors.inbox import EPOCH, Inbox, Row, micros
from connectors.opcua_plan import Machine, OpcuaStream
from connectors.wires.opcua import Session, Variable
from connectors.wires.opcua_values import Sampled, is_overflow
from kernel import clock
from kernel.errors import NplusxError

_ROOM_SECONDS = 0.2


@dataclass(slots=True)
class Feed:
    """One stream: what it wants, what came, and how it stands."""

    how: OpcuaStream
    inbox: Inbox
    settled: Event = field(default_factory=Event)
    trouble: NplusxError | None = None
    refused: str = ""
    # When something came last, be it nothing new.
    heard: datetime | None = None


class Subscription:
    """Puts what a session sends into a stream's inbox."""

    def __init__(
        self, session: Session, feed: Feed, wanted: Sequence[tuple[Machine, Variable]]
    ) -> None:
        self._session, self._feed, self._inbox = session, feed, feed.inbox
        self._heads = [(v.node, m.code, v.path) for m, v in wanted]
        # A subscription first sends what a variable is; that may be known already.
        self._first = set(range(len(wanted)))
        self._caught_up = asyncio.Event()

    async def begin(self) -> None:
        """Subscribe; what comes meanwhile waits behind what was missed."""
        nodes = [node for node, _, _ in self._heads]
        refused = await self._session.subscribe(nodes, self._feed.how.pace, self._take)
        self._feed.refused = f"The server refuses {', '.join(refused)}." if refused else ""
        await self._catch_up()
        self._caught_up.set()

    async def _catch_up(self) -> None:
        """Read what the server kept since each variable was heard; what it did not is a hole."""
        known = [
            (at, EPOCH + timedelta(microseconds=time))
            for at, (node, _, _) in enumerate(self._heads)
            if (time := self._inbox.last_time(node)) is not None
        ]
        if not known:
            return
        until = clock.now()
        spans = [(self._heads[at][0], since) for at, since in known]
        forgotten: list[datetime] = []
        found = await self._session.history(spans, until)
        for (at, since), kept in zip(known, found, strict=True):
            if kept is None:
                forgotten.append(since)
                continue
            await self._room()
            late = micros(since)
            self._inbox.put(self._row(at, each, until) for each in kept if _time(each) > late)
        if forgotten:
            since = max([*forgotten, self._feed.heard or EPOCH])
            self._inbox.hole(
                f"{self._session.where}: {len(forgotten)} variables are unknown from "
                f"{since:%F %T}Z to {until:%F %T}Z, for the server keeps no history."
            )

    async def _take(self, items: list[tuple[int, Sampled]], missing: int | None) -> None:
        """Put values into the inbox; while it is full the server's own queues hold them."""
        await self._caught_up.wait()
        await self._room()
        now = self._feed.heard = clock.now()
        if missing is not None:
            self._inbox.hole(
                f"{self._session.where}: message {missing} was lost before {now:%F %T}Z, and the "
                "server does not have it any more."
            )
        lost = [self._heads[at][0] for at, each in items if is_overflow(each[3])]
        if lost:
            self._inbox.hole(
                f"{self._session.where}: the queue of {len(lost)} variables ran over before "
                f"{now:%F %T}Z, as {lost[0]}; raise `queue_size` or read more often."
            )
        self._inbox.put([self._row(at, each, now) for at, each in items if self._is_news(at, each)])

    def _is_news(self, at: int, each: Sampled) -> bool:
        if at not in self._first:
            return True
        self._first.discard(at)
        return _time(each) != self._inbox.last_time(self._heads[at][0])

    async def _room(self) -> None:
        """Wait for room; what took longer than the server's queues can hold is a hole."""
        begun = clock.now()
        while self._inbox.is_full:
            self._session.heard()
            await asyncio.sleep(_ROOM_SECONDS)
        waited, pace = clock.now() - begun, self._feed.how.pace
        if waited > timedelta(milliseconds=pace.queue_size * pace.sampling_ms):
            self._inbox.hole(
                f"{self._session.where}: `buffer_rows` were full from {begun:%F %T}Z for {waited}, "
                f"longer than the server's queues of {pace.queue_size} values hold."
            )

    def _row(self, at: int, each: Sampled, now: datetime) -> Row:
        node, machine, path = self._heads[at]
        value, number, kind, code, status, source, server = each
        received = micros(now)
        time = source or server or received
        return (
            *(node, time, value, machine, path, number, kind, code, status),
            *(source, server, received),
        )


def _time(each: Sampled) -> int:
    return each[5] or each[6] or 0

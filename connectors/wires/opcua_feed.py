"""One stream of an OPC UA server: what it wants, what came, what was missed."""

import asyncio
from collections import deque
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
# Whatever it is, another session begins behind it.
_FAILURES = (Exception,)

Items = list[tuple[int, Sampled]]
_Message = tuple[Items, str, datetime]


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
        # From when to when it is known already what a variable was.
        self._known: dict[int, tuple[int, int]] = {}
        self._waiting: deque[_Message] = deque()
        self._held = self._dropped = 0
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Subscribe; what comes meanwhile waits behind what was missed."""
        nodes = [node for node, _, _ in self._heads]
        refused = await self._session.subscribe(nodes, self._feed.how.pace, self._take)
        self._feed.refused = f"The server refuses {', '.join(refused)}." if refused else ""
        await self._catch_up()
        self._task = asyncio.create_task(self._pass_on())

    def end(self) -> None:
        """Keep what came until the session was lost."""
        if self._task:
            self._task.cancel()
            while self._waiting:
                self._put_next()

    async def _catch_up(self) -> None:
        """Read what the server kept since each variable was heard; what it did not is a hole."""
        known = [
            (at, time)
            for at, (node, _, _) in enumerate(self._heads)
            if (time := self._inbox.last_time(node)) is not None
        ]
        if not known:
            return
        now = clock.now()
        spans = [(self._heads[at][0], EPOCH + timedelta(microseconds=time)) for at, time in known]
        forgotten: list[datetime] = []
        # A clock of the server's or of a machine's may be ahead of ours.
        async for place, kept in self._session.history(spans, now + timedelta(days=1)):
            at, late = known[place]
            if kept is None:
                forgotten.append(spans[place][1])
                continue
            await self._room()
            self._inbox.put(self._row(at, each, now) for each in kept if _time(each) > late)
        for at, time in known:
            self._known[at] = (time, self._inbox.last_time(self._heads[at][0]) or time)
        if forgotten:
            since = max([*forgotten, self._feed.heard or EPOCH])
            self._inbox.hole(
                f"{self._session.where}: {len(forgotten)} variables are unknown from "
                f"{since:%F %T}Z to {now:%F %T}Z, for the server keeps no history."
            )

    def _take(self, items: Items, missing: str) -> None:
        """Let what comes wait; a stream without room loses its oldest, and no other stream any."""
        now = self._feed.heard = clock.now()
        self._waiting.append((items, missing, now))
        self._held += len(items)
        while self._held > self._inbox.room and len(self._waiting) > 1:
            oldest = len(self._waiting.popleft()[0])
            self._held -= oldest
            self._dropped += oldest
        self._came.set()

    async def _pass_on(self) -> None:
        """Put what waits into the inbox as it has room."""
        try:
            while True:
                await self._came.wait()
                self._came.clear()
                while self._waiting:
                    await self._room()
                    self._put_next()
        except _FAILURES as odd:
            self._session.lose(f"what it sent cannot be taken ({type(odd).__name__} {odd})")

    def _put_next(self) -> None:
        items, missing, now = self._waiting.popleft()
        self._held -= len(items)
        where = self._session.where
        if self._dropped:
            self._inbox.hole(
                f"{where}: {self._dropped} values before {now:%F %T}Z found `buffer_rows` full."
            )
            self._dropped = 0
        if missing:
            self._inbox.hole(
                f"{where}: message {missing} was lost before {now:%F %T}Z, and the "
                "server does not have it any more."
            )
        lost = [self._heads[at][0] for at, each in items if is_overflow(each[3])]
        if lost:
            self._inbox.hole(
                f"{where}: the queue of {len(lost)} variables ran over before "
                f"{now:%F %T}Z, as {lost[0]}; raise `queue_size` or read more often."
            )
        self._inbox.put([self._row(at, each, now) for at, each in items if self._is_news(at, each)])

    def _is_news(self, at: int, each: Sampled) -> bool:
        """Tell whether a value is none that the history gave, or was known before."""
        first, last = self._known.get(at, (0, -1))
        if first <= _time(each) <= last:
            # Without a history it is only what the subscription begins with.
            if first == last:
                del self._known[at]
            return False
        self._known.pop(at, None)
        return True

    async def _room(self) -> None:
        full = self._inbox.is_full
        while full:
            await asyncio.sleep(_ROOM_SECONDS)
            full = self._inbox.is_full

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

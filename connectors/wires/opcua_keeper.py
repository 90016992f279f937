"""Keeps a session with an OPC UA server open, in a thread of its own, whatever happens."""

import asyncio
import secrets
from contextlib import suppress
from fnmatch import fnmatchcase
from threading import Thread

from connectors.opcua_plan import Machine, OpcuaSource, OpcuaStream
from connectors.wires.opcua import Session, Variable
from connectors.wires.opcua_errors import plain
from connectors.wires.opcua_feed import Feed, Subscription
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError
from kernel.skew import Clock

_SHORTEST_WAIT = 0.5
_LONGEST_WAIT = 30.0
# A session that held so long was a good one: the next waits begin anew.
_STEADY_SECONDS = 60.0
# The next try begins with another session, whatever went wrong in this one.
_FAILURES = (Exception,)


class Keeper:
    """Connects and connects again; streams are subscriptions in one session."""

    def __init__(self, way: OpcuaSource) -> None:
        self._way = way
        self._feeds: list[Feed] = []
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        self._closing = False
        self._session: Session | None = None
        self._kept = self._loop.create_task(self._keep())
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, feed: Feed) -> None:
        """Serve one more stream."""
        self._feeds.append(feed)
        self.wake()

    def wake(self) -> None:
        """Try again at once what did not succeed."""
        self._loop.call_soon_threadsafe(self._wake.set)

    def clock(self) -> Clock | None:
        """Compare the server's clock with ours, while there is a session."""
        session = self._session
        if session is None:
            return None
        return asyncio.run_coroutine_threadsafe(session.clock(), self._loop).result()

    def product(self) -> str:
        """Ask the server what it is, while there is a session."""
        session = self._session
        if session is None:
            return ""
        return asyncio.run_coroutine_threadsafe(session.product(), self._loop).result()

    def close(self) -> None:
        """Say goodbye to the server."""
        self._closing = True
        # It may be waiting for whatever: for the server, or for room that nobody makes.
        self._loop.call_soon_threadsafe(self._kept.cancel)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._kept)

    async def _keep(self) -> None:
        """Come back after every loss, neither at once nor together with all other agents."""
        pause = _SHORTEST_WAIT
        while not self._closing:
            begun = clock.monotonic()
            try:
                await self._serve(await Session.open(self._way.server))
            except _FAILURES as failed:
                self._tell(plain(failed, self._way.server.url))
            if clock.monotonic() - begun > _STEADY_SECONDS:
                pause = _SHORTEST_WAIT
            jitter = 0.5 + secrets.randbelow(1000) / 2000
            await asyncio.sleep(pause * jitter)
            pause = min(pause * 2, _LONGEST_WAIT)

    def _tell(self, wrong: NplusxError) -> None:
        for feed in list(self._feeds):
            feed.trouble = wrong
            feed.settled.set()

    async def _serve(self, session: Session) -> None:
        """Subscribe what is asked for, also later, until the session is lost."""
        lost = asyncio.create_task(session.until_lost())
        served: set[int] = set()
        subscriptions: list[Subscription] = []
        self._session = session
        try:
            while not (self._closing or lost.done()):
                self._wake.clear()
                for feed in [each for each in self._feeds if id(each) not in served]:
                    if made := await self._begin(session, feed):
                        subscriptions.append(made)
                        served.add(id(feed))
                wake = asyncio.create_task(self._wake.wait())
                try:
                    await asyncio.wait({lost, wake}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    wake.cancel()
        finally:
            self._session = None
            lost.cancel()
            await session.close()
            for each in subscriptions:
                each.end()
        if not self._closing:
            raise DependencyUnavailableError(
                f"The server is gone: {session.why}.",
                where=session.where,
                cure="bring it back; the agent connects again by itself.",
            )

    async def _begin(self, session: Session, feed: Feed) -> Subscription | None:
        """Subscribe a stream, after what happened since it was last heard."""
        made = None
        try:
            wanted, missing = await self._wanted(session, feed.how)
            made = Subscription(session, feed, wanted)
            await made.begin()
            feed.refused = " ".join([*missing, feed.refused]).strip()
            feed.trouble = None
        except ConfigurationError as wrong:
            made, feed.trouble = None, wrong
        feed.settled.set()
        return made

    async def _wanted(
        self, session: Session, how: OpcuaStream
    ) -> tuple[list[tuple[Machine, Variable]], list[str]]:
        """Find a stream's variables at every machine; what one lacks is not the others' trouble."""
        chosen: dict[tuple[str, str], tuple[Machine, Variable]] = {}
        missing: list[str] = []
        for machine in self._way.machines:
            found = await session.variables(machine.node)
            if found is None:
                missing.append(f"{machine.code}: there is no node {machine.node}.")
                continue
            for pattern in how.variables:
                # A name may hold what patterns give a meaning to.
                fit = [e for e in found if e.path == pattern or fnmatchcase(e.path, pattern)]
                chosen.update({(machine.code, each.path): (machine, each) for each in fit})
                if not fit:
                    missing.append(f"{machine.code} has no variable {pattern}.")
        if not chosen:
            raise ConfigurationError(
                f"The server has none of the variables: {' '.join(missing)}",
                where=self._way.server.url,
                cure="correct `node` of the machine, or `variables` of the preset.",
            )
        return list(chosen.values()), missing

"""Publish: from a source system through the outbox to the bus; nothing that was read is lost."""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Event

from bus.gateway import Door, Gateway
from bus.outbox import Outbox
from bus.ports import Sender, WayOut
from connectors import pseudonyms
from connectors.base import Connector, Source, StreamPlan
from connectors.config import AgentConfig, expand, load_agent
from connectors.registry import find, open_source
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError
from kernel.evidence import SigningKey
from kernel.ids import SourceId, Stream, StreamId
from kernel.log import logger
from pipeline import memory, wiring
from pipeline.bodies import encode
from pipeline.crashpoints import crash_here
from pipeline.rounds import RoundReport, StreamReport, complaints, write_status
from pipeline.settings import Settings, environment, read_settings
from pipeline.skew import Clocks
from pipeline.sources import UNFORESEEN, completed, connect, contract_rows

# Records of one stream that are taken from the outbox at a time; each may hold 4 MiB.
_PORTION = 4
_TICK_SECONDS = 0.2
# What stays wrong is said again as often.
_TELL_SECONDS = 3600.0
_LONGEST_WAIT = 300.0
_DOUBLINGS = 6
_TOKEN = re.compile(r"[!-~]+")


def read_key(path: Path) -> SigningKey:
    """Read an agent's key from its file."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as missing:
        raise ConfigurationError(
            "The agent's key cannot be read.",
            where=str(path),
            cure=f"make one with `nplusx agent key {path}`, and register its public half.",
        ) from missing
    return SigningKey.from_text(text, str(path))


class Agent:
    """One installation at work: holds the outbox, and connections to its sources and the bus."""

    def __init__(self, config: AgentConfig, bus: WayOut, settings: Settings) -> None:
        self._config, self._bus, self._crash = config, bus, settings.crash.dir
        key = read_key(config.key_file)
        self._key_id = key.public.id
        covering = config.pseudonym_key
        self._pseudonyms = pseudonyms.read_key(covering) if covering else None
        self._outbox = Outbox(config.outbox, key, config.outbox_bytes)
        self._connectors: dict[SourceId, Connector[object]] = {}
        # What they were opened with.
        self._told: dict[SourceId, Source[object]] = {}
        self._sender: Sender | None = None
        # What went wrong with sending in this round: with the bus, and with single streams.
        self._silent = ""
        self._unsent: dict[str, str] = {}
        self._holes: dict[str, tuple[str, ...]] = {}
        self._is_laden = False
        self._clocks = Clocks()

    def close(self) -> None:
        """Let go of outbox, sources and bus."""
        self._hang_up()
        for each in self._connectors.values():
            each.close()
        self._outbox.close()

    def round(self, stop: Event | None = None) -> RoundReport:
        """Read every stream to its end, page by page, and send what waits."""
        started_at = clock.now()
        self._silent = ""
        self._unsent.clear()
        self._holes.clear()
        read: dict[str, int] = {}
        errors: dict[str, str] = {}
        self._drain(stop)
        troubled: dict[SourceId, Source[object]] = {}
        for source, plan in self._streams():
            name = self._stream(source, plan).id
            try:
                self._read(source, plan, read, stop)
            except NplusxError as wrong:
                # One stream's trouble is not the others'.
                errors[name], troubled[source.id] = str(wrong), source
            except UNFORESEEN as odd:
                # Nor is what nobody foresaw; its text may hold rows, so only its kind is told.
                logger("agent").error("unforeseen", stream=name, why=repr(type(odd)), exc_info=odd)
                errors[name] = f"The source gave what nobody foresaw: {type(odd).__name__}."
                self._let_go(source)
        for source in troubled.values():
            self._look_again(source)
        self._drain(stop)
        if self._is_laden:
            memory.give_back()
            self._is_laden = False
        if self._unsent or self._silent:
            # The next round tries with a new connection, and with what then stands in the files.
            self._hang_up()
        report = self._report(started_at, read, self._unsent | errors)
        try:
            write_status(self._config, report)
        except DependencyUnavailableError as full:
            # The log tells it, and the rows go on as far as they can.
            report = replace(report, error=" ".join(filter(None, (report.error, str(full)))))
        return report

    def _streams(self) -> Iterator[tuple[Source[object], StreamPlan[object]]]:
        for source in self._config.sources:
            for plan in find(source.preset).streams:
                yield source, plan

    def _stream(self, source: Source[object], plan: StreamPlan[object]) -> Stream:
        return Stream(self._config.enterprise, self._config.id, source.id, plan.contract)

    def _open_source(self, source: Source[object]) -> Connector[object]:
        if source.id not in self._connectors:
            told = completed(self._config, source.id, environment())
            self._connectors[source.id], self._told[source.id] = open_source(told), told
        return self._connectors[source.id]

    def _look_again(self, source: Source[object]) -> None:
        """Let go of a source in trouble whose address or password somebody has corrected."""
        with suppress(NplusxError):
            told = completed(self._config, source.id, environment())
            if told != self._told.get(source.id):
                self._let_go(source)

    def _read(
        self,
        source: Source[object],
        plan: StreamPlan[object],
        read: dict[str, int],
        stop: Event | None,
    ) -> None:
        """Move a stream's rows into the outbox, sending in between so that it stays small."""
        connector = self._open_source(source)
        try:
            self._move(connector, source, plan, read, stop)
        finally:
            connector.rest(plan)

    def _move(
        self,
        connector: Connector[object],
        source: Source[object],
        plan: StreamPlan[object],
        read: dict[str, int],
        stop: Event | None,
    ) -> None:
        stream = self._stream(source, plan)
        cursor = self._outbox.cursor(stream.id)
        if cursor == "":
            cursor = connector.again(plan)
        more = True
        while more and not (stop and stop.is_set()):
            page = connector.read(plan, cursor)
            bodies = []
            if page.rows is not None:
                mapped = contract_rows(page.rows, source, plan, self._pseudonyms)
                bodies = encode(mapped, plan.version)
                self._is_laden = True
            if bodies or page.cursor != cursor:
                crash_here(self._crash, "publish.before_put")
                self._outbox.put(stream, bodies, page.cursor)
                crash_here(self._crash, "publish.after_put")
            read[stream.id] = read.get(stream.id, 0) + sum(each.rows for each in bodies)
            self._holes[stream.id] = self._holes.get(stream.id, ()) + page.holes
            cursor, more = page.cursor, page.more
            if bodies:
                self._drain(stop)

    def _let_go(self, source: Source[object]) -> None:
        """Begin with a source anew: nobody knows how it stands."""
        if (connector := self._connectors.pop(source.id, None)) is not None:
            connector.close()

    def _drain(self, stop: Event | None) -> None:
        """Send what waits, of every stream that has not failed in this round already."""
        is_more = not self._silent
        while is_more and not (stop and stop.is_set()):
            try:
                is_more = self._send_some()
            except NplusxError as wrong:
                # Of the bus, or of the outbox: its disk is full, and nothing can be ticked off.
                self._silent, is_more = str(wrong), False
            except UNFORESEEN as odd:
                logger("agent").error("unforeseen", why=repr(type(odd)), exc_info=odd)
                self._silent = f"Sending failed as nobody foresaw: {type(odd).__name__}."
                is_more = False

    def _send_some(self) -> bool:
        """Send the oldest records of each stream; tell whether there were any."""
        waiting = [
            each for each in self._outbox.pending(_PORTION) if each.stream not in self._unsent
        ]
        if not waiting:
            return False
        self._is_laden = True
        sender = self._open_bus()
        outcomes = sender.send([each.record for each in waiting])
        self._clocks.hear(sender.clock)
        crash_here(self._crash, "publish.after_send")
        pairs = list(zip(waiting, outcomes, strict=True))
        self._outbox.mark_sent([each.id for each, error in pairs if not error])
        crash_here(self._crash, "publish.after_mark")
        for each, error in pairs:
            if error:
                self._unsent.setdefault(each.stream, error)
        return True

    def _open_bus(self) -> Sender:
        if self._sender is None:
            self._sender = self._bus.sender()
        return self._sender

    def _hang_up(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def _report(
        self,
        started_at: datetime,
        read: Mapping[str, int],
        errors: Mapping[str, str],
    ) -> RoundReport:
        states = self._outbox.states()
        streams = []
        for source, plan in self._streams():
            name = self._stream(source, plan).id
            state = states.get(StreamId(name))
            streams.append(
                StreamReport(
                    contract=plan.contract,
                    stream=name,
                    rows_read=read.get(name, 0),
                    rows_ever=state.rows if state else 0,
                    batches_ever=state.batches if state else 0,
                    pending=state.pending if state else 0,
                    error=errors.get(name, ""),
                    holes=self._holes.get(name, ()),
                )
            )
        return RoundReport(
            agent=self._config.id,
            enterprise=self._config.enterprise,
            epoch=self._outbox.epoch,
            key_id=self._key_id,
            started_at=started_at,
            finished_at=clock.now(),
            streams=tuple(streams),
            error=self._silent,
            outbox_bytes=self._outbox.used_bytes,
            outbox_limit=self._config.outbox_bytes,
            clocks=self._clocks.compare(self._connectors),
        )


def backfill(config: AgentConfig, contracts: Sequence[str]) -> list[Stream]:
    """Let streams be read from their beginning in the agent's next round; give which."""
    streams = [
        Stream(config.enterprise, config.id, source.id, plan.contract)
        for source in config.sources
        for plan in find(source.preset).streams
        if not contracts or plan.contract in contracts
    ]
    served = {each.contract for each in streams}
    if unknown := sorted(set(contracts) - served):
        raise ConfigurationError(
            f"The agent reads no {', '.join(unknown)}.",
            where=str(config.path),
            cure="name contracts that its presets serve: `nplusx connector list`.",
        )
    with closing(Outbox(config.outbox, None, config.outbox_bytes)) as outbox:
        outbox.rewind([each.id for each in streams])
    return streams


@dataclass(frozen=True, slots=True)
class _Way:
    """What takes an agent's records: the gateway that its file names, else the brokers.

    Each connection is made with the secrets that stand in their files then.
    """

    config: AgentConfig
    settings: Settings

    def sender(self) -> Sender:
        """Open it for sending."""
        return self.found().sender()

    def found(self) -> WayOut:
        """Put the secrets in place."""
        told, path = self.config.gateway, self.config.path
        if told is None:
            return wiring.bus(self.settings)
        token = expand(told.token, environment(), path.absolute().parent, f"{path}, send")
        if not _TOKEN.fullmatch(token):
            raise ConfigurationError(
                "The token is not what the county made: it holds other signs.",
                where=f"{path}, send.token",
                cure="put there what `nplusx registry token` printed, one line and nothing else.",
            )
        return Gateway(Door(told.url, token, told.ca_file))


def way_out(config: AgentConfig, settings: Settings) -> WayOut:
    """Give an agent's way out; a secret that is not there is an error at once."""
    way = _Way(config, settings)
    way.found()
    return way


def run_agent(path: Path, stop: Event, bus: WayOut | None = None) -> None:
    """Make rounds until told to stop; wait longer, and unevenly, while something is wrong."""
    settings = read_settings()
    config = load_agent(path)
    # What no waiting mends, a missing variable or driver, ends the agent before its first round.
    for source in config.sources:
        with suppress(DependencyUnavailableError):
            connect(config, source.id, environment()).close()
    agent = Agent(config, bus or way_out(config, settings), settings)
    log = logger("agent")
    troubles = 0
    told: list[str] = []
    told_at = clock.monotonic()
    try:
        while not stop.is_set():
            config.nudge_file.unlink(missing_ok=True)
            report = agent.round(stop)
            troubles = 0 if report.is_clean else troubles + 1
            wrong = complaints(report)
            if wrong != told or (wrong and clock.monotonic() - told_at > _TELL_SECONDS):
                told, told_at = wrong, clock.monotonic()
                for text in told:
                    log.warning("in trouble, will try again", agent=config.id, why=text)
            for stream in report.streams:
                for hole in stream.holes:
                    log.warning("data are missing", agent=config.id, stream=stream.stream, why=hole)
            _wait(_pause(config.poll_seconds, troubles), config.nudge_file, stop)
    finally:
        agent.close()


def _pause(seconds: float, troubles: int) -> float:
    """Give the wait before the next round; many agents must not come back all at once."""
    if not troubles:
        return seconds
    doubled = seconds * float(1 << min(troubles, _DOUBLINGS))
    longest = max(seconds, min(doubled, _LONGEST_WAIT))
    return longest * (0.5 + secrets.randbelow(1000) / 2000)


def _wait(seconds: float, nudge: Path, stop: Event) -> None:
    deadline = clock.monotonic() + seconds
    while clock.monotonic() < deadline and not nudge.exists():
        if stop.wait(_TICK_SECONDS):
            return

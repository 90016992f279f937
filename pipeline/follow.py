"""Follow: land what comes as it comes, a lander for each contract, until told to stop."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from threading import Event

from bus.ports import Bus
from contracts.loader import all_contracts, find, read_again, stamp
from contracts.model import Contract
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import ContractId
from kernel.log import logger
from pipeline import replay, wiring
from pipeline.keep import Keeper, unknown_topics
from pipeline.land import LOOK_AGAIN_SECONDS, Lander, opened, prepare_topics
from pipeline.settings import Settings, read_settings

OnCommit = Callable[[Mapping[str, int]], None]
# How long what failed rests: what did not answer is asked again soon, of what nobody foresaw each
# next rest is longer.
_PAUSE_SECONDS = 2.0
_LONGEST_SECONDS = 60.0
# Threads are made as they are needed.
_MOST = 1000


def follow(contracts: Sequence[str], stop: Event, on_commit: OnCommit) -> None:
    """Land contracts side by side; when none is named all, and keep what no contract is for.

    Contracts that are added or changed meanwhile are taken. A kill at any moment costs nothing but
    time.
    """
    settings = read_settings()
    named = [find(each).id for each in contracts]
    prepare_topics(settings)
    hands: dict[ContractId | None, _Hand] = {}
    if not contracts:
        hands[None] = _Hand(partial(_keep, settings))
    # Whether they changed since this process read them nobody knows.
    read: tuple[object, ...] = ()
    with ThreadPoolExecutor(_MOST, thread_name_prefix="follow") as pool:
        try:
            while not stop.is_set():
                for name, each in all_contracts().items():
                    if name not in hands and (name in named or not contracts):
                        hands[name] = _Hand(partial(_follow, settings, each, on_commit), each)
                _look_after(hands, pool)
                read = _renewed(read)
                stop.wait(_PAUSE_SECONDS)
        finally:
            for hand in hands.values():
                hand.stop.set()


def _look_after(hands: "dict[ContractId | None, _Hand]", pool: ThreadPoolExecutor) -> None:
    """Stop what is for a contract that is another by now, and begin what has not begun."""
    known = all_contracts()
    for name, hand in list(hands.items()):
        if hand.contract is not None and hand.contract != known.get(hand.contract.id):
            hand.stop.set()
        if hand.has_ended(pool):
            del hands[name]


def _renewed(read: tuple[object, ...]) -> tuple[object, ...]:
    """Take the contracts' files as they are now, if any has changed."""
    try:
        now = stamp()
        if now != read:
            read = now
            read_again()
    except (ConfigurationError, OSError, ValueError) as why:
        logger("land").warning("contracts as before", why=str(why))
    return read


@dataclass(slots=True)
class _Hand:
    """One that does its work until told to stop, and when it fails rests and begins again."""

    work: Callable[[Event], None]
    contract: Contract | None = None
    stop: Event = field(default_factory=Event)
    _doing: Future[None] | None = None
    _began_at: float = 0.0
    _pause: float = 0.0
    _rests_until: float = 0.0

    def has_ended(self, pool: ThreadPoolExecutor) -> bool:
        """See to it that it works; tell whether it was told to stop and has."""
        if self._doing is not None and self._doing.done():
            if (failed := self._doing.exception()) is not None:
                self._rest(failed)
            self._doing = None
        if self._doing is not None or self.stop.is_set():
            return self._doing is None
        if clock.monotonic() >= self._rests_until:
            self._began_at = clock.monotonic()
            self._doing = pool.submit(self.work, self.stop)
        return False

    def _rest(self, failed: BaseException) -> None:
        name = self.contract.id if self.contract else "none"
        if isinstance(failed, DependencyUnavailableError):
            self._pause = _PAUSE_SECONDS
            logger("land").warning("will try again", contract=name, why=str(failed))
        else:
            # What went well for long does not pay for troubles of before.
            was_well = clock.monotonic() - self._began_at > _LONGEST_SECONDS
            longer = _PAUSE_SECONDS if was_well else 2 * self._pause
            self._pause = min(max(longer, _PAUSE_SECONDS), _LONGEST_SECONDS)
            logger("land").error(
                "will try again", contract=name, why=repr(failed),
                again_in_seconds=self._pause, exc_info=failed,
            )  # fmt: skip
        self._rests_until = clock.monotonic() + self._pause


def _follow(settings: Settings, contract: Contract, on_commit: OnCommit, stop: Event) -> None:
    store = wiring.store(settings)
    if replay.is_due(opened(store, contract), contract):
        replay.replay(contract.id, settings=settings)
    with closing(wiring.bus(settings)) as bus:
        lander = Lander(settings, contract, bus, store, partial(wiring.known, settings))
        lander.on_commit = on_commit
        lander.follow(stop)


def _keep(settings: Settings, stop: Event) -> None:
    """Look for topics without a contract now and then; one's trouble is not that of the others."""
    while not stop.is_set():
        with closing(wiring.bus(settings)) as bus, ThreadPoolExecutor(1) as keeper:
            for topic in unknown_topics(bus):
                kept = keeper.submit(_keep_one, settings, bus, topic, stop)
                if (why := kept.exception()) is not None:
                    logger("land").warning("not kept", topic=topic, why=repr(why), exc_info=why)
        stop.wait(LOOK_AGAIN_SECONDS)


def _keep_one(settings: Settings, bus: Bus, topic: str, stop: Event) -> None:
    Keeper(settings, bus, wiring.store(settings), topic).drain(stop)

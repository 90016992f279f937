"""Follow: land what comes as it comes, a lander for each contract, until told to stop."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from threading import Event

from contracts.loader import all_contracts, find
from contracts.model import Contract
from kernel.errors import DependencyUnavailableError
from kernel.log import logger
from pipeline import replay, wiring
from pipeline.keep import Keeper, unknown_topics
from pipeline.land import LOOK_AGAIN_SECONDS, Lander, opened, prepare_topics
from pipeline.settings import Settings, read_settings

OnCommit = Callable[[Mapping[str, int]], None]
# How long a lander waits before it tries again what did not answer.
_PAUSE_SECONDS = 2.0


def follow(contracts: Sequence[str], stop: Event, on_commit: OnCommit) -> None:
    """Land contracts side by side; when none is named all, and keep what no contract is for.

    A kill at any moment costs nothing but time.
    """
    settings = read_settings()
    found = [find(each) for each in contracts or all_contracts()]
    prepare_topics(settings)
    with ThreadPoolExecutor(len(found) + 1, thread_name_prefix="follow") as pool:
        running = [pool.submit(_follow, settings, each, stop, on_commit) for each in found]
        if not contracts:
            running.append(pool.submit(_keep, settings, stop))
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            # One that fails for good must not be unseen behind the others.
            stop.set()
    for each in running:
        each.result()


def _follow(settings: Settings, contract: Contract, stop: Event, on_commit: OnCommit) -> None:
    store = wiring.store(settings)

    def land() -> None:
        if replay.is_due(opened(store, contract), contract):
            replay.replay(contract.id, settings=settings)
        with closing(wiring.bus(settings)) as bus:
            lander = Lander(settings, contract, bus, store, partial(wiring.known, settings))
            lander.on_commit = on_commit
            lander.follow(stop)

    _again_and_again(land, contract.id, stop)


def _keep(settings: Settings, stop: Event) -> None:
    """Look for topics without a contract now and then."""

    def keep() -> None:
        with closing(wiring.bus(settings)) as bus:
            for topic in unknown_topics(bus):
                try:
                    Keeper(settings, bus, wiring.store(settings), topic).drain(stop)
                except DependencyUnavailableError as why:
                    logger("land").warning("not kept", topic=topic, why=str(why))
        stop.wait(LOOK_AGAIN_SECONDS)

    _again_and_again(keep, "none", stop)


def _again_and_again(work: Callable[[], None], contract: str, stop: Event) -> None:
    while not stop.is_set():
        try:
            work()
        except DependencyUnavailableError as silent:
            logger("land").warning("will try again", contract=contract, why=str(silent))
            stop.wait(_PAUSE_SECONDS)

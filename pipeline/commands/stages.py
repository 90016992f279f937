"""`nplusx land | refine | measure | assess | seal`: a stage by hand, as its DAG calls it."""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from kernel.errors import NplusxError, PartialSuccessError, as_one
from kernel.ids import ContractId
from pipeline.console import facts, progress

if TYPE_CHECKING:
    from pipeline.standing import Standing

# What a shell says of a command that Ctrl-C ended.
_STOPPED = 130
Stage = Callable[[], dict[str, object]]


def land(
    contract: Annotated[
        list[str] | None, typer.Option(help="A contract, or several by turns; left out: all.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--drain", help="Go on with what comes, until Ctrl-C.")
    ] = False,
) -> None:
    """Land what the bus holds: every row once, or in quarantine with its reasons."""
    from contracts.loader import find
    from pipeline import land as stage

    named = [find(each).id for each in contract or ()]
    if follow:
        with _told_to_stop() as stop:
            _follow(named, stop)
    else:
        # Asked before signals are only a wish: a broker may be silent for long.
        contracts, waiting = named or stage.behind(), stage.lag()
        with _told_to_stop() as stop:
            _drain(contracts, waiting, stop)


@contextmanager
def _told_to_stop() -> Iterator[Event]:
    """Take a signal as a wish to stop: what is being written is finished; the next is obeyed."""
    stop = Event()

    def wish(*_: object) -> None:
        stop.set()
        restore()

    before = {each: signal.signal(each, wish) for each in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    try:
        yield stop
    finally:
        restore()


def _drain(contracts: Sequence[str], waiting: "Mapping[ContractId, Standing]", stop: Event) -> None:
    from pipeline import land as stage

    quarantined = 0
    failed: dict[str, NplusxError] = {}
    for identity in contracts:
        total = waiting[ContractId(identity)].lag if identity in waiting else None
        try:
            with progress(f"落地 land · {identity}", "records", total) as on_commit:
                landed = stage.land(identity, on_commit, stop)
        except NplusxError as why:
            # The trouble of one contract is not that of the others.
            failed[identity] = why
            continue
        facts(f"落地 land · {identity}", landed)
        quarantined += int(str(landed["rows_quarantined"]))
        if stop.is_set():
            raise typer.Exit(_STOPPED)
    if failed:
        raise as_one(failed)
    if quarantined:
        raise PartialSuccessError(
            f"{quarantined} rows went to quarantine; all others landed.",
            cure="see the reasons with `nplusx quarantine list`, or on the portal.",
        )


def _follow(contracts: Sequence[str], stop: Event) -> None:
    from pipeline.follow import follow

    with progress("落地 land", "records") as on_commit:
        follow(contracts, stop, on_commit)


def refine() -> None:
    """Compute core and mart tables whose inputs have changed."""
    from pipeline.refine import refine as stage

    facts("精炼 refine", stage())


def measure() -> None:
    """Compute the metrics whose inputs have changed."""
    from pipeline.measure import measure as stage

    facts("度量 measure", stage())


def assess() -> None:
    """Decide every claim whose facts are new."""
    from pipeline.assess import assess as stage

    facts("评定 assess", stage())


def seal() -> None:
    """Pack and chain every decision that is not sealed yet."""
    from pipeline.seal import seal as stage

    facts("封存 seal", stage())


def register(app: typer.Typer) -> None:
    """Add the stages to the command line."""
    for command in (land, refine, measure, assess, seal):
        app.command()(command)

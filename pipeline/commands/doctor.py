"""`nplusx doctor`: is every row accounted for."""

from typing import Annotated

import typer

from kernel import canonical
from kernel.errors import ConfigurationError
from pipeline.console import facts, say, table


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Prove produced = landed + quarantined + repeats; exit 1 if not, 4 if the bus is silent."""
    from pipeline.doctor import examine

    health = examine()
    if json:
        say(canonical.dumps(health.as_json()).decode())
    else:
        table(
            "账实相符 doctor",
            ("stream", "produced", "landed", "quarantined", "repeats", "holes", "lag"),
            [
                (
                    each.stream,
                    str(each.produced),
                    str(each.landed),
                    str(each.quarantined),
                    str(each.repeats),
                    str(len(each.holes)),
                    str(health.lag.get(each.contract, 0)),
                )
                for each in health.streams
            ],
        )
    health.require()


def audit(
    accept: Annotated[
        bool, typer.Option("--accept", help="Take on every open disagreement; asks who and why.")
    ] = False,
    who: Annotated[str, typer.Option(help="Who takes it on.")] = "",
    why: Annotated[str, typer.Option(help="For what reason.")] = "",
) -> None:
    """Let Great Expectations judge what the gate judged; exit 1 while they disagree on a row."""
    from pipeline import audit as stage

    if accept:
        if not (who and why):
            raise ConfigurationError(
                "Nobody took it on.", where="--accept", cure="give --who and --why."
            )
        facts("审计 audit", {"settled": stage.accept(who, why)})
        return
    facts("审计 audit", stage.audit())


def promises(
    accept: Annotated[
        bool, typer.Option("--accept", help="Take on findings, or all open ones; asks who and why.")
    ] = False,
    ids: Annotated[list[str] | None, typer.Argument(help="Which ones to take on.")] = None,
    who: Annotated[str, typer.Option(help="Who takes them on.")] = "",
    why: Annotated[str, typer.Option(help="For what reason.")] = "",
) -> None:
    """Ask what is promised across rows: references, one content a version; exit 1 if broken."""
    from pipeline import promises as stage
    from pipeline import wiring
    from pipeline.settings import read_settings

    settings = read_settings()
    if accept:
        if not (who and why):
            raise ConfigurationError(
                "Nobody took it on.", where="--accept", cure="give --who and --why."
            )
        facts("跨行承诺 promises", {"settled": stage.accept(ids or (), who, why, settings)})
        return
    stage.look(settings)
    table(
        "跨行承诺 promises",
        ("id", "state", "what", "example"),
        [
            (str(each["id"]), str(each["state"]), stage.worded(each), str(each["example"]))
            for each in stage.findings(wiring.store(settings))
        ],
    )
    facts("跨行承诺 promises", stage.check(settings))


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(doctor)
    app.command()(audit)
    app.command()(promises)

"""`nplusx doctor`: is every row accounted for."""

from typing import Annotated

import typer

from kernel import canonical
from pipeline.console import say, table


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


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(doctor)

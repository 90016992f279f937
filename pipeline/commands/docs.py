"""`nplusx docs write | check`: the generated pages."""

import typer

from kernel.errors import ChecksFailedError
from pipeline.console import say


def write() -> None:
    """Write docs/reference anew."""
    from pipeline import reference

    say(f"{reference.write()} pages written")


def check() -> None:
    """Fail when a generated page is not what would be written."""
    from pipeline import reference

    stale = reference.drifted()
    if stale:
        raise ChecksFailedError(
            f"Generated pages drifted: {', '.join(stale)}.",
            where="docs/reference",
            cure="run `make docs`.",
        )


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(help="The generated pages.", no_args_is_help=True)
    group.command()(write)
    group.command()(check)
    app.add_typer(group, name="docs")

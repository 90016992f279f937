"""`nplusx county`: factories that do not exist, whose books are as those of real ones."""

from pathlib import Path
from typing import Annotated

import typer

from kernel.errors import ConfigurationError
from pipeline.console import say, table
from pipeline.settings import read_settings

_LOAD = "Start real systems that hold it, on loopback, until Ctrl-C."
_LATER = "With --load: seconds after which late rows and changed columns come."
_FAULTS = "What to plant: `name`, `name=times`; `@3` for one factory, `@any` for one that is drawn."


def generate(
    out: Annotated[Path | None, typer.Option(help="A new folder for county and truth.")] = None,
    load: Annotated[bool, typer.Option("--load", help=_LOAD)] = False,
    factories: Annotated[int, typer.Option(help="How many.")] = 12,
    months: Annotated[int, typer.Option(help="How many, up to the year's end.")] = 12,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 20240115,
    faults: Annotated[str, typer.Option(help=_FAULTS)] = "",
    later: Annotated[int, typer.Option(min=0, help=_LATER)] = 60,
) -> None:
    """Make a county: books that balance, in the tables of real products, and the truth apart."""
    from county.generate import Asked, County, write
    from county.wrong import idle, parse

    if out is None and not load:
        raise ConfigurationError(
            "Nobody would see this county.",
            where="nplusx county generate",
            cure="give `--out FOLDER` for its files, or `--load` for real systems that hold it.",
        )
    made = County(Asked(factories, months, seed, parse(faults)))
    for each in idle(made.asked.faults, made.factories, seed):
        say(each)
    if load:
        from county.serve import serve

        serve(made, out or read_settings().state_dir / "county", say, later)
        return
    folder = out or Path()
    rows = [
        (str(f.number), f.name, f.place.name, f.system, f"{count:,}", str(planted))
        for f, count, planted in write(made, folder)
    ]
    heads = ("no.", "工厂 factory", "place", "product", "rows", "planted")
    table("模拟县 simulated county", heads, rows)
    say(f"written to {folder}; what must land, and what must not, is in {folder / 'truth'}")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    group = typer.Typer(
        help="模拟县：账目平衡的虚构工厂。 A simulated county, for demo, bench and tests.",
        no_args_is_help=True,
    )
    group.command()(generate)
    app.add_typer(group, name="county")

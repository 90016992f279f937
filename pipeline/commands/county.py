"""`nplusx county`: factories that do not exist, whose books are as those of real ones."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import say, table

_FAULTS = "What to plant in each factory: `name` or `name=times`, with commas between."


def generate(
    out: Annotated[Path, typer.Option(help="A new folder for the county and its truth.")],
    factories: Annotated[int, typer.Option(help="How many.")] = 12,
    months: Annotated[int, typer.Option(help="How many, up to the year's end.")] = 12,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 20240115,
    faults: Annotated[str, typer.Option(help=_FAULTS)] = "",
) -> None:
    """Make a county: books that balance, in the tables of real products, and the truth apart."""
    from county import faults as planting
    from county.generate import make_county, write

    made = make_county(factories, months, seed, planting.parse(faults))
    rows = [
        (str(f.number), f.name, f.place.name, f.system, f"{count:,}", str(len(made.planted[f])))
        for f, count in write(made, out)
    ]
    heads = ("no.", "工厂 factory", "place", "product", "rows", "planted")
    table("模拟县 simulated county", heads, rows)
    say(f"written to {out}; what must land, and what must not, is in {out / 'truth'}")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    group = typer.Typer(
        help="模拟县：账目平衡的虚构工厂。 A simulated county, for demo, bench and tests.",
        no_args_is_help=True,
    )
    group.command()(generate)
    app.add_typer(group, name="county")

"""`nplusx connector`: which products can be read, and whether a source can."""

from pathlib import Path
from typing import Annotated

import typer

from kernel.errors import ChecksFailedError
from pipeline.console import table


def show() -> None:
    """List the products that can be read, and the contracts that each serves."""
    from connectors.registry import all_connectors

    table(
        "接入预设 presets",
        ("preset", "产品 product", "kind", "proof", "contracts"),
        [
            (
                each.id,
                f"{each.title_zh} {each.title_en}",
                each.kind,
                each.proof,
                "\n".join(plan.contract for plan in each.streams),
            )
            for each in all_connectors().values()
        ],
    )


def check(file: Annotated[Path, typer.Argument(help="The agent's YAML file.")]) -> None:
    """Try every stream of an agent's source without sending anything; exit 1 on a finding."""
    from connectors.config import load_agent
    from pipeline.publish import check_source

    findings = check_source(load_agent(file))
    table(
        "数据源检查 source check",
        ("stream", "result", "cure"),
        [(each.subject, each.problem or "readable", each.cure) for each in findings],
    )
    bad = [each for each in findings if each.problem]
    if bad:
        raise ChecksFailedError(
            f"{len(bad)} of {len(findings)} streams have a problem.",
            where=str(file),
            cure="follow the cure beside each.",
        )


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(
        help="接入：预设列表与数据源检查。 Sources: list the presets, check one.",
        no_args_is_help=True,
    )
    group.command("list")(show)
    group.command()(check)
    app.add_typer(group, name="connector")

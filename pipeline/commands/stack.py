"""`nplusx up | down | status`: the embedded stack by hand."""

from typing import Annotated

import typer

from kernel.errors import DependencyUnavailableError
from pipeline.console import say, table
from pipeline.settings import read_settings


def up() -> None:
    """Start everything on this machine and wait until it is well."""
    from pipeline.stack.embedded import Stack
    from pipeline.stack.signals import interruptible

    settings = read_settings()
    with interruptible():
        stack = Stack(settings, report=say)
        stack.up()
    say(f"portal   http://{settings.portal.host}:{settings.portal.port}/")
    access = stack.airflow
    say(f"Airflow  {access.url}/  {access.user} / {access.password}")


def down(
    purge: Annotated[bool, typer.Option("--purge", help="Remove the state folder too.")] = False,
) -> None:
    """Stop every process of this state folder, whoever started it."""
    from pipeline.stack.embedded import Stack
    from pipeline.stack.signals import deafened

    with deafened():
        Stack(read_settings()).down(purge=purge)


def status() -> None:
    """Show how each program is; exit 4 when one does not run."""
    from pipeline.stack.embedded import Stack

    settings = read_settings()
    found = Stack(settings).status()
    rows = [
        (one.name, one.state, str(one.pid or ""), str(one.port or ""), one.detail) for one in found
    ]
    if rows:
        table("程序 programs", ("program", "state", "pid", "port", "detail"), rows)
    ill = [one.name for one in found if not one.is_running]
    if ill or not found:
        raise DependencyUnavailableError(
            f"Not running: {', '.join(ill)}." if ill else "Nothing runs.",
            where=str(settings.state_dir),
            cure="run `nplusx up`.",
        )


def register(app: typer.Typer) -> None:
    """Add these commands to `nplusx`."""
    for command in (up, down, status):
        app.command()(command)

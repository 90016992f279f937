"""Assembles `nplusx` from the modules in `pipeline/commands`: to be in the folder is enough."""

import pkgutil
import sys
from importlib import import_module

import typer

from kernel.errors import NplusxError
from kernel.log import configure
from pipeline import commands
from pipeline.console import plain_errors
from pipeline.settings import read_settings


def assemble() -> typer.Typer:
    """Gather the commands; heavy libraries load when one of them runs."""
    app = typer.Typer(
        name="nplusx",
        help="N+X 改造自证：从工厂数据到可复算的补贴决定。 "
        "The retrofit proves itself: factory data to subsidy decisions that anybody can recompute.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_log_as_set)
    for found in sorted(pkgutil.iter_modules(commands.__path__), key=lambda module: module.name):
        import_module(f"{commands.__name__}.{found.name}").register(app)
    return app


def main() -> None:
    """Run a command; an error that a person can act on is one paragraph and an exit code."""
    try:
        with plain_errors():
            assemble()()
    except NplusxError as error:
        _tell(str(error))
        sys.exit(error.exit_code)


def _log_as_set() -> None:
    """Configure the log before any command runs."""
    settings = read_settings().log
    configure(as_json=settings.json_lines, level=settings.level)


def _tell(message: str) -> None:
    if sys.stderr.isatty():
        message = typer.style(message, fg=typer.colors.RED)
    typer.echo(message, err=True)


if __name__ == "__main__":
    main()

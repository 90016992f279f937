"""What a person sees of a command: tables and colour on a terminal, plain text in a pipe."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import ParamSpec

from rich.console import Console
from rich.table import Table

from kernel import canonical
from kernel.errors import DependencyUnavailableError

_PIPE_WIDTH = 10_000
_Parameters = ParamSpec("_Parameters")


def console() -> Console:
    """Write to standard output; a pipe gets neither colour nor a narrow width."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=_PIPE_WIDTH, color_system=None)


def say(line: str) -> None:
    """Write one line as it is."""
    console().print(line, markup=False, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show rows under a title: framed on a terminal, tab-separated in a pipe."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            say("\t".join(row))
        return
    framed = Table(title=title, title_justify="left", title_style="bold")
    for name in columns:
        framed.add_column(name, overflow="fold")
    for row in rows:
        framed.add_row(*row)
    console().print(framed)


def facts(title: str, values: Mapping[str, object]) -> None:
    """Show names and values under a title."""
    rows = [
        (name, value if isinstance(value, str) else canonical.dumps(value).decode())
        for name, value in values.items()
    ]
    table(title, ("", ""), rows)


def plain_errors(command: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """Make what a disk refuses in the midst of a command one paragraph with a cure."""

    @wraps(command)
    def told(*arguments: _Parameters.args, **options: _Parameters.kwargs) -> None:
        try:
            command(*arguments, **options)
        except BrokenPipeError:
            # The reader of our output has gone, as `head` does: no trouble of ours.
            raise
        except OSError as refused:
            raise DependencyUnavailableError(
                f"The disk refuses: {refused.strerror or refused}.",
                where=str(refused.filename or ""),
                cure="make room or mend the permission of that place, and run again; "
                "nothing that was landed is lost.",
            ) from refused

    return told

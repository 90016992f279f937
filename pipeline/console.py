"""What a person sees of a command: tables and colour on a terminal, plain text in a pipe."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from kernel import canonical, clock
from kernel.errors import ConfigurationError, DependencyUnavailableError


def console() -> Console:
    """Write to a terminal, as wide as it is."""
    return Console(highlight=False)


def say(line: str) -> None:
    """Write one line as it is: no tab becomes blanks in a pipe."""
    if sys.stdout.isatty():
        console().print(line, markup=False, soft_wrap=True)
    else:
        # At once, so that a reader who has gone is noticed here and not when Python ends.
        print(line, flush=True)  # noqa: T201 - the one place that prints


def warn(line: str) -> None:
    """Say aloud, beside the result, what it does not prove."""
    sys.stderr.write(f"{line}\n")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show rows under a title: framed on a terminal, tab-separated in a pipe."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            if any(row):
                say("\t".join(cell.replace("\n", " ") for cell in row))
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


def day_end(day: str) -> datetime:
    """Read the last day on which a person's word holds."""
    try:
        return datetime.combine(date.fromisoformat(day), time.max, clock.SHANGHAI)
    except ValueError as wrong:
        raise ConfigurationError(
            f"{day!r} is no day.", where="--until", cure="write it as 2026-12-31."
        ) from wrong


@contextmanager
def progress(title: str, unit: str) -> Iterator[Callable[[Mapping[str, int]], None]]:
    """Show on a terminal how much is done and how quickly; in a pipe, nothing."""
    if not sys.stderr.isatty():
        yield lambda _counts: None
        return
    columns = (
        TextColumn("{task.description}"),
        SpinnerColumn(),
        TextColumn("{task.completed:,} {task.fields[unit]} · {task.fields[rows]:,} rows"),
        TextColumn("{task.fields[rate]:,.0f} rows/s"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, unit=unit, rows=0, rate=0.0)
        rows = 0

        def advance(counts: Mapping[str, int]) -> None:
            nonlocal rows
            rows += counts["rows"]
            elapsed = bar.tasks[0].elapsed or 1.0
            bar.update(task, advance=counts[unit], rows=rows, rate=rows / elapsed)

        yield advance


@contextmanager
def plain_errors() -> Iterator[None]:
    """Make what a disk refuses, or an install lacks, one paragraph with a cure."""
    try:
        yield
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does: no trouble of ours.
        raise
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"This command needs {missing.name}, which is not installed.",
            cure="install nplusx[platform]; the edge install reads, sends and verifies.",
        ) from missing
    except OSError as refused:
        raise DependencyUnavailableError(
            f"The disk refuses: {refused.strerror or refused}.",
            where=str(refused.filename or ""),
            cure="make room or mend the permission of that place, and run again; "
            "nothing that was landed is lost.",
        ) from refused

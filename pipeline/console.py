"""What a person sees of a command: tables and colour on a terminal, plain text in a pipe."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta

from rich.console import Console
from rich.progress import (
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from kernel import canonical, clock
from kernel.errors import ConfigurationError, DependencyUnavailableError

# How often a pipe is told of progress.
_LINE_SECONDS = 10.0


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
def progress(
    title: str, unit: str, total: int | None = None
) -> Iterator[Callable[[Mapping[str, int]], None]]:
    """Show how much is done, how quickly, and what is left if the end is known.

    A line that moves on a terminal; in a pipe a line now and then, beside the output.
    """
    if not sys.stderr.isatty():
        yield _lines(title, unit, total)
        return
    columns = (
        TextColumn("{task.description}"),
        SpinnerColumn(),
        TextColumn("{task.fields[done]} {task.fields[unit]} · {task.fields[rows]:,} rows"),
        TextColumn("{task.fields[rate]:,.0f} rows/s"),
        TimeElapsedColumn(),
        *((TimeRemainingColumn(), TextColumn("left")) if total else ()),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, unit=unit, rows=0, rate=0.0, done="0")
        done = rows = 0

        def advance(counts: Mapping[str, int]) -> None:
            nonlocal done, rows
            done, rows = done + counts[unit], rows + counts["rows"]
            elapsed = bar.tasks[0].elapsed or 1.0
            told = f"{done:,}/{total:,}" if total else f"{done:,}"
            bar.update(task, completed=done, done=told, rows=rows, rate=rows / elapsed)

        yield advance


def _lines(title: str, unit: str, total: int | None) -> Callable[[Mapping[str, int]], None]:
    """Tell the same in lines, so few that a log can hold them."""
    started = told_at = clock.monotonic()
    done = rows = 0

    def advance(counts: Mapping[str, int]) -> None:
        nonlocal done, rows, told_at
        done, rows = done + counts[unit], rows + counts["rows"]
        now = clock.monotonic()
        if now - told_at < _LINE_SECONDS:
            return
        told_at = now
        many = f"{done:,} of {total:,}" if total else f"{done:,}"
        line = f"{title}: {many} {unit} · {rows:,} rows · {rows / (now - started):,.0f} rows/s"
        if total and done:
            left = max(0, total - done) * (now - started) / done
            line += f" · {timedelta(seconds=round(left))} left"
        warn(line)

    return advance


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

"""`nplusx maintain`: keep the tables small and quick, as the DAG does each night."""

import typer

from pipeline.console import table


def maintain() -> None:
    """Merge small files, clear landings that came to nothing, sweep old versions; safe any time."""
    from pipeline.maintain import keep

    table(
        "养护 maintain",
        ("table", "files", "bytes", "rows cleared", "files swept", ""),
        [
            (
                each.table,
                f"{each.before.count} → {each.after.count}",
                f"{each.before.bytes} → {each.after.bytes}",
                str(each.cleared),
                str(each.swept),
                "busy: left to the next run" if each.is_busy else "",
            )
            for each in keep()
        ],
    )


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(maintain)

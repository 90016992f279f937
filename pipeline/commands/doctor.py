"""`nplusx doctor` and `nplusx audit`: is every row accounted for, and was it judged rightly."""

from typing import Annotated

import typer

from kernel import canonical, clock
from pipeline.console import day_end, facts, say, table


def doctor(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="First make missing topics and tables, clear old landings that came to nothing,"
            " write checkpoints; each is named. All else stays for a person.",
        ),
    ] = False,
) -> None:
    """Prove produced = landed + quarantined + repeats; exit 1 if not, 4 if the bus is silent."""
    if context.invoked_subcommand:
        return
    from pipeline.doctor import examine
    from pipeline.mend import mend

    mended = mend() if fix else []
    health = examine()
    if json:
        say(canonical.dumps({**health.as_json(), **({"mended": mended} if fix else {})}).decode())
    else:
        for each in mended:
            say(f"mended: {each}")
        table(
            "账实相符 doctor",
            ("stream", "produced", "landed", "quarantined", "repeats", "holes", "lag"),
            [
                (
                    each.stream,
                    str(each.produced),
                    str(each.landed),
                    str(each.quarantined),
                    str(each.repeats),
                    str(len(each.holes)),
                    str(health.lag.get(each.contract, 0)),
                )
                for each in health.streams
            ],
        )
        for found in health.found:
            said = found.word
            tail = f"explained by {said['who']}: {said['why']}" if said else f"Cure: {found.cure}"
            say(f"{found.id} {found.what} {tail}")
        for notice in health.notices:
            say(notice)
    health.require()


def waive(
    ids: Annotated[
        list[str], typer.Argument(help="Ids, as `nplusx doctor` shows them, or how they begin.")
    ],
    who: Annotated[str, typer.Option(help="Who takes it on themselves.")],
    why: Annotated[str, typer.Option(help="For what reason.")],
    until: Annotated[
        str, typer.Option(help="Last day on which it holds, as 2026-12-31; left out: for good.")
    ] = "",
) -> None:
    """Explain a finding that stays: it is listed on, and the doctor is no longer red."""
    from pipeline import doctor as stage
    from warehouse.words import Word

    word = Word(who, why, clock.now(), day_end(until) if until else None)
    for each in stage.waive(ids, word):
        say(f"{each.id} {each.what} explained by {who}: {why}")


def audit() -> None:
    """Let Great Expectations judge what the gate judged; exit 1 while they disagree on a row."""
    from pipeline import audit as stage

    facts("审计 audit", stage.audit())


def promises(
    ids: Annotated[list[str] | None, typer.Argument(help="Ask of these only.")] = None,
) -> None:
    """Ask what is promised across rows: references, one content a version; exit 1 if broken."""
    from pipeline import promises as stage
    from pipeline.settings import read_settings

    settings = read_settings()
    listed = stage.listed(ids or (), settings)
    table(
        "跨行承诺 promises",
        ("id", "state", "what", "example"),
        [
            (
                str(each["id"]),
                "explained" if each["word"] else str(each["state"]),
                stage.worded(each),
                str(each["example"]),
            )
            for each in listed
        ],
    )
    facts("跨行承诺 promises", stage.require_kept(listed))


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(invoke_without_command=True)
    group.callback()(doctor)
    group.command()(waive)
    app.add_typer(group, name="doctor")
    app.command()(audit)
    app.command()(promises)

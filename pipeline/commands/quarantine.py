"""`nplusx quarantine list | show | replay | waive`: what was refused, and what becomes of it."""

from collections.abc import Mapping
from typing import Annotated

import typer

from kernel import canonical, clock
from kernel.errors import ConfigurationError, PartialSuccessError
from pipeline.console import day_end, facts, say, table
from pipeline.settings import read_settings

Row = Mapping[str, object]
_SHORT = 12
Contract = Annotated[str, typer.Option(help="Of one contract.")]


def _waiting(contract: str = "", reason: str = "", state: str = "") -> list[dict[str, object]]:
    from contracts.loader import find
    from pipeline import wiring
    from warehouse import attempts

    rows = attempts.waiting(wiring.store(read_settings()), clock.now())
    mine = [row for row in rows if contract in {"", row["contract"]}]
    if contract and not mine:
        # Nothing of it waits; or there is no such contract, which is said.
        find(contract)
    return [
        row
        for row in mine
        if state in {"", row["state"]} and (not reason or reason in _reasons(row))
    ]


def _reasons(row: Row) -> list[str]:
    found = row["reasons"]
    return [str(each) for each in found] if isinstance(found, list) else []


def _named(ids: list[str]) -> list[dict[str, object]]:
    """Find rows by the beginnings of their ids, as `list` shows them."""
    rows = _waiting()
    found = []
    for name in ids:
        mine = [row for row in rows if str(row["id"]).startswith(name)]
        if len(mine) != 1:
            raise ConfigurationError(
                f"{len(mine)} rows in quarantine have an id that begins with {name!r}.",
                cure="take ids from `nplusx quarantine list`, longer if need be.",
            )
        found += mine
    return found


def show_list(
    contract: Contract = "",
    reason: Annotated[str, typer.Option(help="With this reason code.")] = "",
    state: Annotated[str, typer.Option(help="open, rejected or waived.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List what waits in quarantine, newest last."""
    rows = sorted(_waiting(contract, reason, state), key=lambda row: str(row["first_seen_at"]))
    if json:
        for row in rows:
            say(canonical.dumps(row).decode())
        return
    table(
        f"隔离 quarantine · {len(rows)}",
        ("id", "state", "contract", "key", "reasons", "first seen"),
        [
            (
                str(row["id"])[:_SHORT],
                str(row["state"]),
                str(row["contract"]),
                str(row["business_key"]),
                ", ".join(_reasons(row)),
                str(row["first_seen_at"])[:19],
            )
            for row in rows
        ],
    )


def show(row: Annotated[str, typer.Argument(help="Id, or its beginning.")]) -> None:
    """Show a row as it was sent, with every reason in words."""
    from contracts.violations import title_of
    from pipeline import wiring
    from warehouse import quarantine

    (held,) = _named([row])
    facts("隔离 quarantine", {k: v for k, v in held.items() if k not in {"reasons", "_month"}})
    for code in _reasons(held):
        title = title_of(code)
        say(f"{code}: {title.zh} · {title.en}")
    raw = quarantine.raw_of(wiring.store(read_settings()), str(held["id"]))
    say(raw.decode("utf-8", "backslashreplace"))


def replay(
    rows: Annotated[list[str] | None, typer.Argument(help="Ids; left out: all that wait.")] = None,
    contract: Contract = "",
) -> None:
    """Judge what waits by the contracts and keys of today; what is good now lands in its place."""
    from pipeline import replay as stage

    chosen = _named(rows) if rows else _waiting(contract)
    accepted = rejected = 0
    for each in sorted({str(row["contract"]) for row in chosen}):
        ids = {str(row["id"]) for row in chosen if row["contract"] == each} if rows else ()
        found = stage.replay(each, ids, "nplusx quarantine replay")
        accepted, rejected = accepted + found.accepted, rejected + found.rejected
    facts("重放 replay", {"accepted": accepted, "rejected": rejected})
    if rejected:
        raise PartialSuccessError(
            f"{rejected} rows are still refused; {accepted} landed.",
            cure="see the reasons with `nplusx quarantine list`; mend contract, key or source.",
        )


def waive(
    rows: Annotated[list[str], typer.Argument(help="Ids, or their beginnings.")],
    who: Annotated[str, typer.Option(help="Who takes it on themselves.")],
    why: Annotated[str, typer.Option(help="For what reason.")],
    until: Annotated[str, typer.Option(help="Last day on which it holds, as 2026-12-31.")],
) -> None:
    """Put up with rows for a time: they stay, and are not judged anew meanwhile."""
    from pipeline import replay as stage

    ids = [str(row["id"]) for row in _named(rows)]
    facts("豁免 waive", {"rows": stage.waive(ids, who, why, day_end(until))})


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(help="Refused rows: see, judge anew, waive.", no_args_is_help=True)
    group.command("list")(show_list)
    for command in (show, replay, waive):
        group.command()(command)
    app.add_typer(group, name="quarantine")

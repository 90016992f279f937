"""`nplusx contract`: what is promised, whether it is promised well, what a change breaks."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kernel import canonical
from kernel.errors import ChecksFailedError, ConfigurationError
from kernel.ids import CONTRACT_ID
from pipeline.console import facts, say, table

if TYPE_CHECKING:
    from contracts.model import Contract
    from pipeline.contract_diff import Replay

# Ours have 9 kB; YAML of more takes minutes to read.
_LARGEST = 256 << 10
Identity = Annotated[str, typer.Argument(help="The contract, such as erp.payment.v1.")]


def _read(name: str) -> "Contract":
    """Take a contract by its id, or from a file that is not among ours yet."""
    from contracts.loader import find, parse

    if CONTRACT_ID.fullmatch(name):
        return find(name)
    cure = "name a contract of ours, such as erp.payment.v1, or an ODCS file in UTF-8."
    try:
        with Path(name).open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as failed:
        raise ConfigurationError(
            f"The contract cannot be read: {failed.strerror}.", where=name, cure=cure
        ) from failed
    if len(data) > _LARGEST:
        raise ConfigurationError(
            f"The file is larger than any contract: {_LARGEST} bytes.", where=name, cure=cure
        )
    try:
        return parse(data.decode(), name)
    except UnicodeDecodeError as failed:
        raise ConfigurationError("The file is not UTF-8 text.", where=name, cure=cure) from failed


def show_all() -> None:
    """List every contract."""
    from contracts.loader import all_contracts

    table(
        "数据契约 contracts",
        ("contract", "version", "契约 title", "publisher", "key", "columns"),
        [
            (
                each.id,
                each.version,
                f"{each.title.zh} {each.title.en}",
                each.publisher,
                ", ".join(each.key),
                str(len(each.properties)),
            )
            for each in all_contracts().values()
        ],
    )


def lint(
    files: Annotated[
        list[str] | None, typer.Argument(help="Files or ids; none: every contract of ours.")
    ] = None,
) -> None:
    """Check contracts by the official ODCS schema and by our own rules; exit 1 on a finding."""
    from contracts.lint import findings, official
    from contracts.loader import all_contracts

    known = all_contracts()
    chosen = {name: _read(name) for name in files} if files else known
    found = [
        (name, finding.column, finding.problem)
        for name, each in chosen.items()
        for finding in official(each) or findings(each, known)
    ]
    table("契约检查 lint", ("contract", "column", "problem"), found)
    if found:
        raise ChecksFailedError(
            f"{len(found)} things to mend.",
            where=", ".join(dict.fromkeys(each[0] for each in found)),
            cure="follow the problem beside each; a contract beside it is the pattern.",
        )
    say(f"{len(chosen)} contracts are clean")


def show(
    contract: Identity,
    with_servers: Annotated[
        bool, typer.Option("--with-servers", help="The file, with this deployment's broker in it.")
    ] = False,
) -> None:
    """Show what a contract promises of each column."""
    from pipeline import reference
    from pipeline.settings import read_settings

    found = _read(contract)
    if with_servers:
        say(reference.with_servers(found, read_settings().bootstrap_servers).rstrip("\n"))
        return
    facts(f"{found.id} · {found.title.zh}", dict(reference.contract_facts(found)))
    table(found.purpose, reference.COLUMNS, reference.contract_rows(found))
    for notice in _drift(found):
        say(notice)


def _drift(contract: "Contract") -> list[str]:
    """Tell what streams send beside it, where there are tables to ask."""
    from pipeline import drift, wiring
    from pipeline.settings import read_settings

    try:
        store = wiring.store(read_settings())
    except ModuleNotFoundError:
        # The edge install has no tables.
        return []
    if not store.exists(contract.table):
        return []
    return list(drift.notices(contract, store.open(contract.table).commits()))


def schema(contract: Identity) -> None:
    """Print the JSON Schema of one row, for a vendor's own tools."""
    from contracts.json_schema import json_schema

    say(canonical.dumps(json_schema(_read(contract))).decode())


def sample(
    contract: Identity,
    rows: Annotated[int, typer.Option(min=0, help="How many valid rows.")] = 3,
    bad: Annotated[
        int, typer.Option(min=0, help="How many rows that break one promise each, in `_breaks`.")
    ] = 0,
) -> None:
    """Print sample rows as NDJSON: valid ones, then bad ones that name the promise they break."""
    from contracts.sample import samples

    for row, reason in samples(_read(contract), rows, bad):
        say(canonical.dumps({**row, "_breaks": reason} if reason else row).decode())


def suite(contract: Identity) -> None:
    """Print the contract as Great Expectations reads it: the second opinion's expectations."""
    from contracts.suite import promises

    table(
        "期望套件 suite",
        ("code", "severity", "expectation", "arguments"),
        [
            (each.code, each.severity, each.expectation, canonical.dumps(each.arguments).decode())
            for each in promises(_read(contract))
        ],
    )


def warnings(contract: Identity) -> None:
    """List the landed rows that break a promise of severity warning."""
    from pipeline.annotated import annotated

    found = annotated(_read(contract).id)
    table(
        "软性承诺 warnings",
        ("code", "enterprise", "rows"),
        [(code, who, str(count)) for (code, who), count in sorted(found.counts.items())],
    )
    table("其中 among them", ("place", "key", "codes"), found.rows)


def diff(
    old: Annotated[str, typer.Argument(help="The contract in force: an id or a file.")],
    new: Annotated[str, typer.Argument(help="The other version: an id or a file.")],
    days: Annotated[int, typer.Option(min=0, help="How far back rows are judged anew.")] = 30,
) -> None:
    """Compare two versions, and judge recent rows by the new one; exit 1 on a breaking change."""
    from contracts.diff import changes
    from pipeline.contract_diff import replay

    before, after = _read(old), _read(new)
    if before.id.rpartition(".")[0] != after.id.rpartition(".")[0]:
        raise ConfigurationError(
            f"They are of two entities: {before.id} and {after.id}.",
            where=new,
            cure="name two versions of one contract.",
        )
    found = changes(before, after)
    table(
        "契约变更 changes",
        ("column", "what", "before", "after", "breaking"),
        [
            (each.column, each.what, each.before, each.after, "yes" if each.is_breaking else "no")
            for each in found
        ],
    )
    _tell(replay(before, after, days))
    broken = [each for each in found if each.is_breaking]
    if broken:
        raise ChecksFailedError(
            f"{len(broken)} of {len(found)} changes break somebody.",
            where=", ".join(dict.fromkeys(each.column or each.what for each in broken)),
            cure="make it a new major beside the old one, or change only what widens the promise.",
        )


def _tell(outcome: "Replay") -> None:
    rows: list[Sequence[str]] = []
    for title, found in (("refused anew", outcome.refused), ("freed", outcome.freed)):
        rows.append((title, f"{found.changed} of {found.read} rows", ""))
        rows += [(title, code, f"{count} rows") for code, count in sorted(found.reasons.items())]
        rows += [
            (title, each.place, f"{each.key}: {', '.join(each.reasons)}") for each in found.examples
        ]
    table("近期数据重放 replay", ("rows", "where or why", "how many or which"), rows)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(
        help="契约：每一行数据的承诺。 Contracts: what each row must be.", no_args_is_help=True
    )
    group.command("list")(show_all)
    for command in (lint, show, schema, sample, suite, warnings, diff):
        group.command()(command)
    app.add_typer(group, name="contract")

"""`nplusx connector`: which products can be read, and whether a source can."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kernel.errors import ChecksFailedError, ConfigurationError
from pipeline.console import facts, say, table, warn

if TYPE_CHECKING:
    from pipeline.certificate import Certificate


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
    from pipeline.sources import check_source

    findings = check_source(load_agent(file))
    table(
        "数据源检查 source check",
        ("stream", "source", "result", "cure"),
        [(e.subject, e.product, e.problem or "readable", e.cure) for e in findings],
    )
    bad = [each for each in findings if each.problem]
    if bad:
        raise ChecksFailedError(
            f"{len(bad)} of {len(findings)} streams have a problem.",
            where=str(file),
            cure="follow the cure beside each.",
        )


_FILE = typer.Argument(help="The agent's YAML file.")
_SOURCE = typer.Option("--source", help="Which of its sources, if it has several.")


def discover(
    file: Annotated[Path, _FILE],
    source: Annotated[str, _SOURCE] = "",
    like: Annotated[str, typer.Option(help="Only what bears this text in its name.")] = "",
    contract: Annotated[str, typer.Option(help="Draft a stream for it of each.")] = "",
) -> None:
    """List what a source's own catalogue offers; draft a preset's stream from it."""
    from connectors.config import load_agent
    from contracts.loader import find
    from kernel import yaml
    from pipeline import trial

    config = load_agent(file)
    found = list(trial.offers(config, trial.source_of(config, source), like))
    if not found:
        say("The source's catalogue has nothing" + (f" like {like}." if like else "."))
        return
    if contract:
        promised = find(contract)
        for each in found:
            say(yaml.dump([trial.draft(each, promised)]))
        return
    rows = [
        (each.name, ", ".join(f"{name} {kind}" for name, kind in each.columns.items()))
        for each in found
    ]
    table("数据源目录 catalogue", ("name", "columns"), rows)


def read(
    file: Annotated[Path, _FILE],
    contract: Annotated[str, typer.Argument(help="Which stream, by its contract.")],
    source: Annotated[str, _SOURCE] = "",
    rows: Annotated[int, typer.Option(min=1, max=1000, help="How many to show.")] = 10,
) -> None:
    """Read the first rows of a stream and judge them, without sending; exit 1 if any is bad."""
    from connectors.config import load_agent
    from pipeline import trial

    config = load_agent(file)
    tried = trial.read(config, trial.source_of(config, source), contract)
    if tried.rows is None:
        say(f"The stream has no rows. {tried.passing}".rstrip())
        return
    told = tried.rows
    names = [name for name in told.column_names if told[name].null_count < len(told)]
    shown = tried.rows.select(names).slice(0, rows).to_pylist()
    table(
        f"首批数据 first rows of {contract}",
        ("gate", *names),
        [
            ("; ".join(tried.refused.get(at, ())) or "ok", *(str(row[name]) for name in names))
            for at, row in enumerate(shown)
        ],
    )
    say(f"{len(tried.rows)} rows judged, {len(tried.refused)} would be refused")
    if tried.refused:
        codes = sorted({code for each in tried.refused.values() for code in each})
        raise ChecksFailedError(
            f"The gate refuses {len(tried.refused)} rows: {', '.join(codes)}.",
            where=contract,
            cure="mend the source, or the preset's mapping; `nplusx contract show` tells what is"
            " promised.",
        )


def certify(
    file: Annotated[Path, _FILE],
    contract: Annotated[
        list[str] | None, typer.Option(help="Only this stream; may be given several times.")
    ] = None,
    source: Annotated[str, _SOURCE] = "",
    skip: Annotated[
        list[str] | None, typer.Option(help="Leave a part out: part=reason, in a few words.")
    ] = None,
    soak: Annotated[float, typer.Option(min=1, help="Seconds of reading again and again.")] = 30,
    rows: Annotated[int, typer.Option(min=1, help="How many to read of a stream.")] = 50_000,
    out: Annotated[Path | None, typer.Option(help="Where the signed certificate goes.")] = None,
) -> None:
    """Run the acceptance suite beside the agent, sign what came of it; exit 1 if a part failed."""
    from connectors.config import load_agent
    from pipeline import certificate, trial
    from pipeline.candidate import Wish
    from pipeline.certify import certify as run
    from pipeline.certify import reasons
    from pipeline.publish import read_key

    if out and not out.parent.is_dir():
        raise ConfigurationError(
            "The folder in which the certificate shall stand is not there.",
            where=str(out.parent),
            cure="make it, or name another with `--out`; nothing was read yet.",
        )
    config = load_agent(file)
    wish = Wish(soak, rows, reasons(skip or ()))
    key = read_key(config.key_file)
    found = run(config, trial.source_of(config, source), contract or (), wish)
    signed = certificate.sign(found, key)
    _show(found)
    if out:
        out.write_bytes(signed + b"\n")
    if found.failed:
        raise ChecksFailedError(
            f"{len(found.failed)} of {len(found.parts)} parts failed.",
            where=str(file),
            cure="follow the cure beside each.",
        )


def _show(found: "Certificate") -> None:
    """Show a certificate to a person."""
    said = ("agent", "key_id", "source", "product", "kind", "preset", "preset_digest", "nplusx")
    told = {name: str(getattr(found, name)) for name in said}
    told |= {"from": str(found.started_at), "to": str(found.finished_at)}
    facts("接入验收证书 connector certificate", told)
    table(
        "验收项目 parts",
        ("stream", "part", "outcome", "seen", "cure"),
        [(each.stream, each.name, each.outcome, each.told, each.cure) for each in found.parts],
    )


def certificate(
    file: Annotated[Path, typer.Argument(help="A certificate that `certify` wrote.")],
    key: Annotated[
        Path | None, typer.Option(help="File with the agent's public key, to trust no other.")
    ] = None,
) -> None:
    """Check a certificate's signature and show it; exit 1 if a part failed, 5 if it was changed."""
    from kernel.evidence import PublicKey
    from pipeline import certificate as certificates

    trusted = PublicKey.from_file(key) if key else None
    found = certificates.read(file, trusted)
    _show(found)
    if trusted is None:
        warn(
            "The agent's key is not pinned: anybody can sign with a key of their own. Get the"
            " agent's public key by another way, and run again with --key FILE."
        )
    if found.failed:
        raise ChecksFailedError(
            f"{len(found.failed)} of {len(found.parts)} parts failed.",
            where=str(file),
            cure="mend what is named, and certify again.",
        )


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(
        help="接入：预设列表，检查、发现、试读、验收。 Sources: presets; try and certify one.",
        no_args_is_help=True,
    )
    group.command("list")(show)
    for each in (check, discover, read, certify, certificate):
        group.command()(each)
    app.add_typer(group, name="connector")

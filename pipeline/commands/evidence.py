"""`nplusx explain | verify | key`: where each yuan comes from, and whether it is so."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kernel.errors import ConfigurationError
from kernel.evidence import PublicKey
from pipeline.console import facts, say, warn

if TYPE_CHECKING:
    from pipeline.admission import Known
    from pipeline.verify import Verified

_KEY_BYTES = 32


def explain(claim: Annotated[str, typer.Argument(help="The claim, such as CL-2024-001.")]) -> None:
    """Walk from a claim's yuan to Kafka offsets and the agent that signed."""
    from pipeline.explain import explain as walk

    for line in walk(claim).lines():
        say(line)


def verify(
    pack: Annotated[Path, typer.Argument(help="An evidence pack.")],
    key: Annotated[
        Path | None, typer.Option(help="File with the county's public key, to trust no other.")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="File with the agents' keys and enterprises that you hold, to trust no others."
        ),
    ] = None,
    drill: Annotated[
        bool,
        typer.Option("--drill", help="Flip a byte of each file in a copy; each must be noticed."),
    ] = False,
) -> None:
    """Recompute a sealed decision offline, from the signed bytes up."""
    from pipeline import verify as verification

    found = verification.verify(pack, _key(key), _agents_keys(keys))
    facts(
        "核验通过 verified",
        {
            "claim": found.claim_id,
            "outcome": found.outcome,
            "amount_cny": found.amount_cny,
            "decision_digest": found.decision_digest,
            "sealed_by": found.sealed_by,
            "county_key": "pinned" if key else "NOT pinned",
            "agents_keys": "pinned" if keys else "from the pack",
            "records": found.records,
            "unsigned_records": found.unsigned_records,
            "rows": found.rows,
            "waived_rows": len(found.waived),
        },
    )
    if drill:
        for name, noticed in verification.drill(pack).items():
            say(f"drill: {name}: {noticed}")
    _warn(found, key)


def _warn(found: "Verified", key: Path | None) -> None:
    """Say what was taken on the county's word."""
    if found.unsigned_records:
        warn(
            f"{found.unsigned_records} of {found.records} records are unsigned, from"
            f" {', '.join(found.unsigned_from)}. Nobody but the county vouches for them, by the"
            " registration in enterprises.json that lets their sender omit signatures."
        )
    for word in found.waived:
        warn(f"Left out, only the county's word for it: {word}.")
    for word in found.earlier:
        warn(f"By an earlier contract, only the county's word for when: {word}.")
    if key is None:
        warn(
            "The county's key is not pinned: anybody can seal a pack with a key of their own."
            " Get the county's public key (`nplusx key` there) by another way than the pack, and"
            " run again with --key FILE."
        )


def key(
    agents: Annotated[
        bool,
        typer.Option(
            "--agents", help="The agents' keys and enterprises, for `nplusx verify --keys`."
        ),
    ] = False,
) -> None:
    """Print the county's public key, for `nplusx verify --key`."""
    from pipeline import parties, wiring
    from pipeline.settings import read_settings

    settings = read_settings()
    if agents:
        say(parties.known_text(wiring.known(settings)).decode())
    else:
        say(base64.b64encode(wiring.county_key(settings).public.raw).decode())


def _agents_keys(path: Path | None) -> "Known | None":
    from pipeline import parties

    if path is None:
        return None
    try:
        return parties.read_known(path.read_bytes())
    except (OSError, LookupError, TypeError, ValueError) as broken:
        raise ConfigurationError(
            "The agents' keys cannot be read.",
            where=str(path),
            cure="give the file as `nplusx key --agents` prints it at the county.",
        ) from broken


def _key(path: Path | None) -> PublicKey | None:
    if path is None:
        return None
    try:
        raw = base64.b64decode(path.read_text(encoding="utf-8").strip(), validate=True)
    except (OSError, ValueError):
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise ConfigurationError(
            "The public key cannot be read.",
            where=str(path),
            cure="give the file as published: 32 bytes in base64.",
        )
    return PublicKey(raw)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for each in (explain, verify, key):
        app.command()(each)

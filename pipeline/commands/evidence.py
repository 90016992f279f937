"""`nplusx explain | verify`: where each yuan comes from, and whether it is so."""

import base64
from pathlib import Path
from typing import Annotated

import typer

from kernel.errors import ConfigurationError
from kernel.evidence import PublicKey
from pipeline.console import facts, say

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
    drill: Annotated[
        bool, typer.Option("--drill", help="Flip a byte in a copy and prove that it is noticed.")
    ] = False,
) -> None:
    """Recompute a sealed decision offline, from the signed bytes up."""
    from pipeline import verify as verification

    found = verification.verify(pack, _key(key))
    facts(
        "核验通过 verified",
        {
            "claim": found.claim_id,
            "outcome": found.outcome,
            "amount_cny": found.amount_cny,
            "decision_digest": found.decision_digest,
            "sealed_by": found.sealed_by,
            "records": found.records,
            "unsigned_records": found.unsigned_records,
            "rows": found.rows,
        },
    )
    if drill:
        say(f"drill: {verification.drill(pack)}")


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
    app.command()(explain)
    app.command()(verify)

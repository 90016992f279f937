"""`nplusx registry`: who is who, and what is filed: enterprises, agents, keys, claims."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kernel import canonical, clock
from kernel.errors import ConfigurationError
from kernel.evidence import PublicKey
from kernel.ids import AgentId, EnterpriseId, KeyId
from pipeline.console import facts, say, table
from pipeline.settings import read_settings
from registry.kinds import EnterpriseKind

if TYPE_CHECKING:
    from registry.database import Registry
    from registry.keys import RegisteredKey

_AGENT = typer.Argument(help="The agent's name, as in its YAML file.")
_KEY = typer.Argument(help="The key's id, as `nplusx registry list` shows it.")
_AT = typer.Option(help="An instant with its zone, such as 2024-06-01T08:00+08:00; left out: now.")


def enterprise(
    uscc: Annotated[str, typer.Argument(help="Its unified social credit code.")],
    name: Annotated[str, typer.Option(help="Its name, as on the licence.")],
    region: Annotated[str, typer.Option(help="Region code, GB/T 2260.")],
    kind: Annotated[EnterpriseKind, typer.Option(help="What it may publish.")],
    accepts_unsigned: Annotated[
        bool, typer.Option("--accepts-unsigned", help="Believe its records without a signature.")
    ] = False,
) -> None:
    """Register an enterprise, or correct what is registered."""
    from pipeline import wiring
    from registry import people

    given = people.Enterprise(EnterpriseId(uscc), name, kind, region, "", accepts_unsigned)
    people.save_enterprise(wiring.registry(read_settings()), given)
    say(f"{uscc} {name} is registered as {kind}.")


def agent(
    agent: Annotated[str, _AGENT],
    enterprise: Annotated[str, typer.Option(help="Credit code of its enterprise.")],
) -> None:
    """Register an agent of an enterprise; it never changes hands."""
    from pipeline import wiring
    from registry import keys

    keys.save_agent(wiring.registry(read_settings()), AgentId(agent), EnterpriseId(enterprise))
    say(f"{agent} may speak for {enterprise}.")


def token(
    agent: Annotated[str, _AGENT],
    days: Annotated[int, typer.Option(help="How long it is good.", min=1, max=3660)] = 400,
) -> None:
    """Make the token with which an agent gets through the gateway; its key is needed as well."""
    from pipeline.ingest import issue_token

    say(issue_token(read_settings(), AgentId(agent), days))


def allow(
    agent: Annotated[str, _AGENT],
    principal: Annotated[
        str, typer.Option(help="Who it is to the brokers; left out: the user of its name.")
    ] = "",
) -> None:
    """Let an agent write to the brokers, and read nothing there."""
    from pipeline import wiring

    settings = read_settings()
    if AgentId(agent) not in wiring.agents(settings):
        raise ConfigurationError(
            f"The agent {agent} is not registered.",
            cure=f"register it: `nplusx registry agent {agent} --enterprise USCC`.",
        )
    named = principal or f"User:{agent}"
    wiring.let_write(settings, named)
    say(f"{named} may write to every topic of the county's, and read none.")


def key(
    agent: Annotated[str, _AGENT],
    file: Annotated[Path, typer.Argument(help="Its public key, as `nplusx agent key` made it.")],
    since: Annotated[str, typer.Option("--from", help=f"First instant it counts. {_AT.help}")] = "",
) -> None:
    """Register a key of an agent; what it signs counts from then on."""
    from pipeline import wiring
    from registry import keys

    public, at = PublicKey.from_file(file), _instant(since, "--from")
    known = wiring.registry(read_settings())
    keys.save_key(known, AgentId(agent), public, at)
    _tell(known, public.id)


def end(key: Annotated[str, _KEY], at: Annotated[str, _AT] = "") -> None:
    """Let a key end in good order, as when it is replaced; an earlier end stands."""
    from pipeline import wiring
    from registry import keys

    known = wiring.registry(read_settings())
    keys.end_key(known, KeyId(key), _instant(at, "--at"))
    _tell(known, KeyId(key))


def revoke(key: Annotated[str, _KEY], at: Annotated[str, _AT] = "") -> None:
    """Stop believing a key, as when it was stolen; an earlier revocation stands."""
    from pipeline import wiring
    from registry import keys

    known = wiring.registry(read_settings())
    keys.revoke_key(known, KeyId(key), _instant(at, "--at"))
    _tell(known, KeyId(key))


def certificate(
    file: Annotated[Path, typer.Argument(help="What `nplusx connector certify --out` wrote.")],
) -> None:
    """Register a connector's certificate; `explain` names it beside every row read under it."""
    from pipeline.certified import take

    found = take(file, read_settings())
    say(f"{found.source} of {found.agent} is certified for {', '.join(found.contracts)}.")


def enter(
    file: Annotated[Path, typer.Argument(help="YAML of listings, projects, claims, acceptances.")],
) -> None:
    """Enter what a county filed: the 规上 list, projects, claim lines, outcomes of acceptance."""
    from pipeline import wiring
    from registry import claims

    registry = wiring.registry(read_settings())
    dossier = claims.read_dossier(file)
    fresh = claims.save_dossier(registry, dossier, clock.now())
    say(f"{fresh} of {len(dossier.facts)} entries are new or corrected.")


def show(
    json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """List enterprises, agents, keys and certificates."""
    from pipeline import wiring
    from registry import certificates, keys, people

    registry = wiring.registry(read_settings())
    parties = people.enterprises(registry).values()
    owners, ring = keys.agents(registry), keys.keyring(registry).values()
    certified = certificates.certificates(registry)
    if json:
        everything = {
            "enterprises": [*parties],
            "agents": owners,
            "keys": [_facts(k) for k in ring],
            "certificates": [*certified],
        }
        say(canonical.dumps(everything).decode())
        return
    table(
        "单位 enterprises",
        ("uscc", "name", "kind", "region", "unsigned"),
        [(e.uscc, e.name, e.kind, e.region_code, str(e.accepts_unsigned)) for e in parties],
    )
    columns = ("agent", "enterprise", "key_id", "valid_from", "valid_to", "revoked_at")
    rows: list[dict[str, str]] = [_facts(each) for each in ring]
    keyless = owners.keys() - {row["agent"] for row in rows}
    rows += [{"agent": each, "enterprise": owners[each]} for each in keyless]
    rows.sort(key=lambda row: (row["agent"], row.get("valid_from", "")))
    cells = [[row.get(name, "") for name in columns] for row in rows]
    table("代理与密钥 agents and keys", columns, cells)
    table(
        "接入验收证书 connector certificates",
        ("agent", "source", "preset", "contracts", "certified_at", "digest"),
        [
            (c.agent, c.source, c.preset, " ".join(c.contracts), str(c.certified_at), c.digest)
            for c in certified
        ],
    )


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(
        help="登记库：单位、代理、密钥、申报。 The registry: enterprises, agents, keys, claims.",
        no_args_is_help=True,
    )
    for each in (enterprise, agent, token, allow, key, end, revoke, certificate):
        group.command()(each)
    group.command("import")(enter)
    group.command("list")(show)
    app.add_typer(group, name="registry")


def _facts(key: "RegisteredKey") -> dict[str, str]:
    spans = {"valid_from": key.valid_from, "valid_to": key.valid_to, "revoked_at": key.revoked_at}
    return {
        "agent": key.agent,
        "enterprise": key.enterprise,
        "key_id": key.key.id,
        **{name: at.isoformat() if at else "" for name, at in spans.items()},
    }


def _tell(registry: "Registry", key: KeyId) -> None:
    """Show what stands now, which may be older than what was asked for."""
    from registry.keys import keyring

    facts("密钥 key", _facts(keyring(registry)[key]))


def _instant(text: str, option: str) -> datetime:
    """Read an instant; what has no zone could mean two."""
    if not text:
        return clock.now()
    try:
        read = datetime.fromisoformat(text)
        if read.tzinfo is not None:
            return read.astimezone(UTC)
        what = f"{text!r} has no time zone."
    except (ValueError, OverflowError):
        what = f"{text!r} is no instant."
    raise ConfigurationError(
        what, where=option, cure="write it with its zone, such as 2024-06-01T08:00:00+08:00."
    )

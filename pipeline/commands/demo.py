"""`nplusx demo`: the whole stack with a simulated county, from books to a sealed decision."""

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from county import retrofit, truth
from county import world as simulated
from kernel import clock
from kernel.errors import ChecksFailedError
from kernel.evidence import SigningKey
from kernel.ids import AgentId, EnterpriseId
from pipeline.console import say, table
from pipeline.settings import Settings, read_settings

if TYPE_CHECKING:
    # A factory's PC has the command line, but not what a stack is made of.
    from pipeline.stack.embedded import Stack

_KEYS_FROM = datetime(2024, 1, 1, tzinfo=UTC)
_FILED_AT = datetime(2024, 7, 20, 8, tzinfo=UTC)
_LANDING_SECONDS = 480.0
_DECISION_SECONDS = 360.0
_USERS = {
    "engineer": ("platform", ""),
    "factory": ("factory", simulated.FACTORY),
    "auditor": ("auditor", ""),
    "leader": ("leader", ""),
}
_AGENT = """\
agent:
  id: {name}
  enterprise: "{enterprise}"
  key_file: ../keys/{name}.key
  outbox: ../outbox/{name}.sqlite
sources:
- id: {source}
  preset: {preset}
  url: "{url}"
  zone: {zone}
poll_seconds: 5
"""


def demo(
    leave: Annotated[bool, typer.Option("--exit", help="Stop everything when it is told.")] = False,
) -> None:
    """Start everything, play the story, show the portal until Ctrl-C."""
    from pipeline.stack.embedded import Stack

    settings = read_settings()
    began = clock.monotonic()

    def report(line: str) -> None:
        say(f"[{clock.monotonic() - began:4.0f} s] {line}")

    stack = Stack(settings, report=report)
    with stack.foreground():
        stack.up()
        _play(stack, settings, report)
        _show(settings)
        _addresses(stack.airflow.url, stack.airflow.user, stack.airflow.password, settings)
        if not leave:
            say("Ctrl-C stops everything.")
            signal.pause()


def _play(stack: "Stack", settings: Settings, report: Callable[[str], None]) -> None:
    """Tell the story: the factory's books first, then the claim."""
    from connectors.registry import find
    from county import load, shape
    from pipeline import story

    made, _ = truth.demo_books()
    factory = truth.demo_factory()
    tables = shape.tables(factory, shape.as_arrow(made))
    loaded = load.into_database(stack.source_url, tables)
    report(f"the factory's ERP holds {sum(loaded.values()):,} rows in {len(loaded)} tables")
    _register(settings)
    _write_agents(stack, settings)
    stack.reload()
    served = [plan.contract for plan in find(factory.system).streams]
    expected = truth.produced(made, served)
    story.wait(
        "the factory's rows should have landed",
        _LANDING_SECONDS,
        lambda: _missing(expected, story.arrived(settings)),
    )
    report(f"{sum(expected.values()):,} rows of the factory are landed or in quarantine")
    _file_claim(settings)
    story.wait(
        "the claim should have been decided and sealed",
        _DECISION_SECONDS,
        lambda: "" if story.sealed(settings, truth.CLAIM.claim_id) else "a sealed decision",
    )
    report(f"the claim {truth.CLAIM.claim_id} is decided and sealed")


def _missing(expected: dict[str, int], arrived: Mapping[str, int]) -> str:
    short = {each: count - arrived.get(each, 0) for each, count in expected.items()}
    return ", ".join(f"{count} rows of {each}" for each, count in short.items() if count > 0)


def _register(settings: Settings) -> None:
    """Make enterprises, agents, keys and users known."""
    from pipeline import wiring
    from registry import keys, people

    registry = wiring.registry(settings)
    parties = (
        (simulated.FACTORY, simulated.FACTORY_NAME, people.EnterpriseKind.FACTORY, "factory"),
        (simulated.authority_uscc(), "演示县经信局", people.EnterpriseKind.AUTHORITY, "county"),
    )
    for uscc, name, kind, agent in parties:
        enterprise = people.Enterprise(
            EnterpriseId(uscc), name, kind, simulated.REGION, simulated.INDUSTRY
        )
        people.save_enterprise(registry, enterprise)
        keys.save_agent(registry, AgentId(agent), EnterpriseId(uscc))
        path = settings.state_dir / "keys" / f"{agent}.key"
        key = SigningKey.from_text(wiring.secret(path), str(path))
        keys.save_key(registry, AgentId(agent), key.public, _KEYS_FROM)
    for username, (role, uscc) in _USERS.items():
        password = _password(settings, username)
        if people.check_password(people.find_user(registry, username), password):
            continue
        user = people.User(
            username, people.hash_password(password), people.Role(role), EnterpriseId(uscc) or None
        )
        people.save_user(registry, user)


def _password(settings: Settings, username: str) -> str:
    """Give a demo user's password, generated once for this state folder."""
    from pipeline import wiring

    return wiring.secret(settings.state_dir / "keys" / f"{username}.password")[:12]


def _write_agents(stack: "Stack", settings: Settings) -> None:
    """Give each agent its one YAML file; the database's password stays in a file of its own."""
    state = settings.state_dir
    (state / "outbox").mkdir(exist_ok=True)
    (state / "agents").mkdir(exist_ok=True)
    address, password = _without_password(stack.source_url)
    passfile = state / "keys" / "factory.pgpass"
    _write_private(passfile, f"*:*:*:*:{password}\n")
    factory = ("u8", "yonyou_u8", f"{address}?passfile={passfile}", "Asia/Shanghai")
    # SQLite keeps instants in UTC and does not say so.
    county = ("registry", "nplusx_registry", settings.registry_url, "UTC")
    for name, enterprise, (source, preset, url, zone) in (
        ("factory", simulated.FACTORY, factory),
        ("county", simulated.authority_uscc(), county),
    ):
        text = _AGENT.format(
            name=name, enterprise=enterprise, source=source, preset=preset, url=url, zone=zone
        )
        (state / "agents" / f"{name}.yaml").write_text(text, encoding="utf-8")


def _without_password(url: str) -> tuple[str, str]:
    before, _, place = url.rpartition("@")
    account, _, password = before.rpartition(":")
    return f"{account}@{place}", password


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _file_claim(settings: Settings) -> None:
    """Enter list, project, claim and acceptance; the same again changes nothing."""
    from pipeline import wiring
    from registry import claims

    filed = retrofit.dossier()
    dossier = claims.Dossier(
        listings=tuple(claims.Listing(**asdict(each)) for each in filed.listings),
        projects=(claims.Project(**asdict(filed.project)),),
        claim_lines=tuple(claims.ClaimLine(**asdict(each)) for each in filed.lines),
        acceptances=(claims.Acceptance(**asdict(filed.acceptance)),),
    )
    claims.save_dossier(wiring.registry(settings), dossier, _FILED_AT)


def _show(settings: Settings) -> None:
    """Print what happened, and fail when it is not what was planted."""
    from pipeline import story, wiring
    from pipeline.seal import pack_path
    from pipeline.verify import verify

    told = story.tell(settings, truth.CLAIM.claim_id, "")
    columns = ("契约 contract", "发出 produced", "落地 landed", "隔离 quarantined", "重复 repeats")
    table(
        "数据流 streams",
        columns,
        [
            (e.contract, str(e.produced), str(e.landed), str(e.quarantined), str(e.repeats))
            for e in told.health.streams
        ],
    )
    table(
        "隔离原因 reasons",
        ("原因 reason", "行 rows"),
        [(code, str(count)) for code, count in sorted(told.reasons.items())],
    )
    table(
        f"申报 claim {truth.CLAIM.claim_id}",
        ("行 line", "结论 outcome", "申报 claimed", "认可 allowed", "意见 why"),
        [
            (
                str(line["line_no"]),
                str(line["outcome"]),
                str(line["claimed_cny"]),
                str(line["allowed_cny"]),
                _why(line["verdicts"]),
            )
            for line in told.lines
        ],
    )
    if told.decision is None:
        raise ChecksFailedError("There is no decision.", where=truth.CLAIM.claim_id)
    path = pack_path(settings, told.decision)
    verified = verify(path, wiring.county_key(settings).public)
    amount = told.decision["amount_cny"]
    say(f"补贴 grant      {amount} yuan ({told.decision['outcome']})")
    say(f"准时交付率      {told.months} months measured")
    say(f"证据包 pack     {path} · verified from {verified.records} signed records")
    if not told.health.ok:
        raise ChecksFailedError(" ".join(told.health.findings), where="doctor")
    if amount != truth.CLAIM.award_cny:
        raise ChecksFailedError(
            f"The grant is {amount}, planted was {truth.CLAIM.award_cny}.", where="the story"
        )


def _why(verdicts: object) -> str:
    listed = verdicts if isinstance(verdicts, list) else []
    against = [each for each in listed if each["outcome"] != "allowed"]
    return "; ".join(f"{each['rule']} {each['reason_zh']}" for each in against)


def _addresses(airflow: str, user: str, password: str, settings: Settings) -> None:
    say(f"门户 portal     http://{settings.portal.host}:{settings.portal.port}/")
    for username, (role, _) in _USERS.items():
        say(f"  {username:<9} {_password(settings, username)}  ({role})")
    say(f"Airflow         {airflow}/  {user} / {password}")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(demo)

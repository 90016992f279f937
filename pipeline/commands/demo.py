"""`nplusx demo`: the whole stack with a simulated county, from books to a sealed decision."""

import signal
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import TypeAdapter

from county import world as simulated
from county.reach import OFFICES, Reach
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
_FILED_AT = datetime(2024, 12, 2, 8, tzinfo=UTC)
_LANDING_SECONDS = 480.0
_DECISION_SECONDS = 360.0
_USERS = {
    "engineer": ("platform", ""),
    "factory": ("factory", simulated.FACTORY),
    "auditor": ("auditor", ""),
    "leader": ("leader", ""),
}
_COUNTY = "county"
_POLL_SECONDS, _METER_SECONDS = 5, 60
_REACHED = TypeAdapter(tuple[Reach, ...])


def demo(
    leave: Annotated[bool, typer.Option("--exit", help="Stop everything when it is told.")] = False,
) -> None:
    """Start everything, play the story, show the portal until Ctrl-C."""
    from pipeline.stack.embedded import COUNTY, PROGRAMS, Stack

    settings = read_settings()
    began = clock.monotonic()

    def report(line: str) -> None:
        say(f"[{clock.monotonic() - began:4.0f} s] {line}")

    stack = Stack(settings, report=report)
    with stack.foreground():
        stack.up((*PROGRAMS, COUNTY))
        _play(stack, settings, report)
        _show(settings)
        _addresses(stack.airflow.url, stack.airflow.user, stack.airflow.password, settings)
        if not leave:
            say("Ctrl-C stops everything.")
            signal.pause()


def _play(stack: "Stack", settings: Settings, report: Callable[[str], None]) -> None:
    """Tell the story: the factories' books first, then the claim."""
    from county import truth
    from pipeline import story
    from pipeline.stack.layout import Layout

    place = Layout(settings.state_dir)
    reached = _REACHED.validate_json(place.county_sources.read_bytes())
    factories = {each.uscc: each for each in reached if each.factory != OFFICES}
    report(f"{len(factories)} factories keep their books in {len(reached)} systems")
    _register(settings, factories.values())
    _write_agents(settings, reached)
    stack.reload()
    expected = _expected(place.county / "truth", reached)
    story.wait(
        "the factories' rows should have landed",
        _LANDING_SECONDS,
        lambda: _missing(expected, story.arrived(settings)),
    )
    report(f"{sum(expected.values()):,} rows of the factories are landed or in quarantine")
    filed = _file_claims(settings, place.county / "claims", factories.values())
    story.wait(
        "the claims should have been decided, and the story's be sealed",
        _DECISION_SECONDS,
        lambda: story.open_claims(settings, filed, truth.CLAIM.claim_id),
    )
    report(f"{len(filed)} claims are decided; {truth.CLAIM.claim_id} is sealed")


def _expected(told: Path, reached: Sequence[Reach]) -> Mapping[tuple[str, str], int]:
    """Count the rows that must come of each enterprise and contract."""
    import pyarrow.parquet as pq

    from connectors.registry import find

    rows: Counter[tuple[str, str]] = Counter()
    for each in reached:
        if each.rows:
            rows.update({(each.uscc, contract): count for contract, count in each.rows.items()})
            continue
        for plan in find(str(each.source["preset"])).streams:
            file = told / f"{each.factory:03d}" / f"{plan.contract}.parquet"
            rows[each.uscc, plan.contract] = pq.read_metadata(file).num_rows
    return rows


def _missing(
    expected: Mapping[tuple[str, str], int], arrived: Mapping[tuple[str, str], int]
) -> str:
    short = {each: count - arrived.get(each, 0) for each, count in expected.items()}
    return ", ".join(
        f"{count} rows of {contract} of {uscc}"
        for (uscc, contract), count in short.items()
        if count > 0
    )


def _register(settings: Settings, factories: Iterable[Reach]) -> None:
    """Make enterprises, agents, keys and users known."""
    from pipeline import wiring
    from registry import keys, kinds, people

    registry = wiring.registry(settings)
    county = simulated.authority_uscc(), "演示县经信局", simulated.REGION, simulated.INDUSTRY
    authority, factory = kinds.EnterpriseKind.AUTHORITY, kinds.EnterpriseKind.FACTORY
    parties = [(_COUNTY, authority, *county)]
    parties += [(_agent(e), factory, e.uscc, e.name, e.region, e.industry) for e in factories]
    for agent, kind, uscc, name, region, industry in parties:
        enterprise = people.Enterprise(EnterpriseId(uscc), name, kind, region, industry)
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
            username, people.hash_password(password), kinds.Role(role), EnterpriseId(uscc) or None
        )
        people.save_user(registry, user)


def _password(settings: Settings, username: str) -> str:
    """Give a demo user's password, generated once for this state folder."""
    from pipeline import wiring

    return wiring.secret(settings.state_dir / "keys" / f"{username}.password")[:12]


def _agent(factory: Reach) -> str:
    return f"factory-{factory.factory:03d}"


def _write_agents(settings: Settings, reached: Sequence[Reach]) -> None:
    """Give each agent its one YAML file; passwords stay in files of their own."""
    from kernel import yaml

    state = settings.state_dir
    (state / "outbox").mkdir(exist_ok=True)
    (state / "agents").mkdir(exist_ok=True)
    # SQLite keeps instants in UTC and does not say so.
    registry = {
        "id": "registry", "preset": "nplusx_registry", "url": settings.registry_url, "zone": "UTC",
    }  # fmt: skip
    sources: dict[tuple[str, str], list[Mapping[str, object]]] = {
        (_COUNTY, simulated.authority_uscc()): [registry]
    }
    for each in reached:
        name = _COUNTY if each.factory == OFFICES else _agent(each)
        sources.setdefault((name, each.uscc), []).append(each.source)
    for (name, enterprise), read in sources.items():
        agent = {
            "id": name, "enterprise": enterprise, "key_file": f"../keys/{name}.key",
            "outbox": f"../outbox/{name}.sqlite",
        }  # fmt: skip
        # A meter makes a row whenever it is read.
        is_metered = any(each["preset"] == "modbus_machine" for each in read)
        pause = _METER_SECONDS if is_metered else _POLL_SECONDS
        text = yaml.dump({"agent": agent, "sources": read, "poll_seconds": pause})
        (state / "agents" / f"{name}.yaml").write_text(text, encoding="utf-8")


def _file_claims(settings: Settings, folder: Path, factories: Iterable[Reach]) -> set[str]:
    """Enter what factories filed; the same again changes nothing. Give the claims."""
    from pipeline import wiring
    from registry import claims

    registry, filed = wiring.registry(settings), set[str]()
    dossiers = [claims.read_dossier(folder / f"{each.factory:03d}.yaml") for each in factories]
    for dossier in dossiers:
        claims.save_dossier(registry, dossier, _FILED_AT)
        filed |= {line.claim_id for line in dossier.claim_lines}
    return filed


def _show(settings: Settings) -> None:
    """Print what happened, and fail when it is not what was planted."""
    from county import truth
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

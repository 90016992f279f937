"""`nplusx agent`: the installation at a source: run it, see how it fares, make its key."""

import base64
import os
import secrets
import shutil
import signal
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from kernel import clock
from kernel.errors import ChecksFailedError, ConfigurationError
from kernel.evidence import SigningKey
from pipeline import memory
from pipeline.console import say, table

if TYPE_CHECKING:
    from connectors.config import AgentConfig

_FILE = typer.Argument(help="The agent's YAML file.")
# Of a round that ends, and of the longest wait while something is wrong.
_QUIET = 900.0
_PRESET = "The product to read: one of `nplusx connector list`, or a preset's file of your own."


def run(file: Annotated[Path, _FILE]) -> None:
    """Read the source and send its rows, round after round, until told to stop; twice: at once."""
    stop = Event()

    def end(number: int, _frame: object) -> None:
        stop.set()
        # Who is told again waits for no source that hangs: what was read is safe.
        signal.signal(number, signal.SIG_DFL)

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, end)
    memory.share_allocator()
    with memory.spared("numpy", "pandas"):
        from pipeline.publish import run_agent

        run_agent(file, stop)


def status(file: Annotated[Path | None, _FILE] = None) -> None:
    """Tell how the last round went, of one agent or of all resident ones; exit 1 if badly."""
    from connectors.config import load_agent
    from pipeline.rounds import RoundReport, read_status, resident_agents
    from pipeline.settings import read_settings
    from pipeline.skew import MOST_SKEW_SECONDS

    configs = [load_agent(file)] if file else resident_agents(read_settings())
    troubles: list[str] = []

    def lines(config: "AgentConfig", report: RoundReport | None) -> list[tuple[str, ...]]:
        if report is None:
            troubles.append(f"{config.id} never made a round.")
            return [(config.id, "-", "-", "-", "-", "never")]
        troubles.extend(each for each in (report.error, *(s.error for s in report.streams)) if each)
        ended = report.finished_at.isoformat(timespec="seconds")
        if (clock.now() - report.finished_at).total_seconds() > _QUIET + 2 * config.poll_seconds:
            troubles.append(
                f"{config.id} 没有在运行，或一轮读得很久 does not run, or reads long: it has ended "
                f"no round since {ended}. Cure: see that `nplusx agent run {config.path}` runs."
            )
        return [
            (config.id, s.contract, str(s.rows_read), str(s.rows_ever), str(s.pending), ended)
            for s in report.streams
        ]

    rows = [row for each in configs for row in lines(each, read_status(each))]
    heads = ("agent", "contract", "read last", "read ever", "waiting", "round ended")
    table("采集代理 agents", heads, rows)
    for told in filter(None, map(read_status, configs)):
        used, most = (each / 2**20 for each in (told.outbox_bytes, told.outbox_limit))
        say(f"{told.agent}: outbox 待发 {used:.1f} of {most:.1f} MiB, signed with {told.key_id}")
        for each in told.clocks:
            far = f"，超过 {MOST_SKEW_SECONDS:.0f} s，请校时 let both keep the time by NTP"
            say(f"{told.agent}: clock 时钟 {each.source}: {each.text}{far if each.is_far else ''}")
    if troubles:
        raise ChecksFailedError(
            " ".join(sorted(set(troubles))), cure="mend what is named; the agent goes on by itself."
        )


def backfill(
    file: Annotated[Path, _FILE],
    contract: Annotated[
        list[str] | None, typer.Option(help="Only this stream; may be given several times.")
    ] = None,
) -> None:
    """Let streams be read from their beginning again; the agent must not run meanwhile."""
    from connectors.config import load_agent
    from pipeline.publish import backfill as rewind

    for each in rewind(load_agent(file), contract or ()):
        say(f"{each.id} is read from its beginning in the next round")


def init(
    folder: Annotated[Path, typer.Argument(help="A new folder for the agent.")],
    agent: Annotated[str, typer.Option("--id", help="What the county shall call it.")],
    enterprise: Annotated[str, typer.Option(help="The factory's unified social credit code.")],
    preset: Annotated[str, typer.Option(help=_PRESET)],
) -> None:
    """Set up an agent: its file to be completed, its keys, and what to do next."""
    from connectors.registry import OWN, find, kind_of
    from kernel import yaml
    from kernel.ids import agent_id, enterprise_id, is_name

    found = find(preset)
    own = Path(preset) if preset.endswith(OWN) else None
    named = own.name if own else preset
    source = first if is_name(first := found.id.partition("_")[0]) else found.kind
    told = {
        "agent": {
            "id": str(agent_id(agent, "--id")),
            "enterprise": str(enterprise_id(enterprise, "--enterprise")),
            "key_file": "agent.key",
            "pseudonym_key": "names.key",
            "outbox": "outbox.sqlite",
        },
        "sources": [{"id": source, "preset": named, **kind_of(found).EXAMPLE}],
        "poll_seconds": 30,
    }
    try:
        folder.mkdir(parents=True)
    except OSError as failed:
        raise ConfigurationError(
            f"The folder cannot be made: {failed.strerror}.",
            where=str(folder),
            cure="name one that does not exist yet, where you may write.",
        ) from failed
    if own:
        shutil.copy(own, folder)
    file = folder / "agent.yaml"
    file.write_text(yaml.dump(told), encoding="utf-8")
    made = _make_key(folder / "agent.key")
    public = _publish(made, folder / "agent.key")
    _make_key(folder / "names.key")
    for line in (
        f"{file}: write the source's own address and options over the example",
        "its passwords: files of one line, as ${file:password}, or variables, as ${NPLUSX_…}",
        f"nplusx connector check {file}",
        f"{public}: to the county, which registers key {made.public.id}",
        f"nplusx agent run {file}",
        f"{folder / 'names.key'}: keep a copy at the factory; with it pseudonyms stay the same",
    ):
        say(line)


def key(file: Annotated[Path, typer.Argument(help="Where the key goes.")]) -> None:
    """Make a signing key, for its owner's eyes only; the public half to register is FILE.pub."""
    made = _make_key(file)
    say(f"key id       {made.public.id}")
    say(f"public key   {made.public.text}")
    say(f"to register  {_publish(made, file)}")


def _make_key(file: Path) -> SigningKey:
    made = SigningKey.from_text(base64.b64encode(secrets.token_bytes(32)).decode(), str(file))
    try:
        # Made closed, not closed afterwards: nobody may look in between.
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as there:
        raise ConfigurationError(
            "There is a file already, and a key is never replaced.",
            where=str(file),
            cure="choose another name, or move the old key away.",
        ) from there
    except OSError as failed:
        raise ConfigurationError(
            f"The key cannot be written: {failed.strerror}.",
            where=str(file),
            cure="choose a folder that exists and that you may write.",
        ) from failed
    with os.fdopen(handle, "w") as out:
        out.write(made.text + "\n")
    return made


def _publish(made: SigningKey, file: Path) -> Path:
    """Write the half that everybody may see beside the key."""
    public = file.with_name(f"{file.name}.pub")
    public.write_text(made.public.text + "\n", encoding="utf-8")
    return public


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(
        help="采集代理：建立、运行、状态、补数、密钥。 The agent at a source.",
        no_args_is_help=True,
    )
    for each in (init, run, status, backfill, key):
        group.command()(each)
    app.add_typer(group, name="agent")

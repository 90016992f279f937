"""Rounds: how an agent's last one went, in its status file; whoever wants one now asks there."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime

from pydantic import TypeAdapter

from connectors.config import AgentConfig, load_agent
from kernel import canonical, clock
from kernel.errors import DependencyUnavailableError
from pipeline.settings import Settings, read_settings
from pipeline.skew import Skew

_TICK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class StreamReport:
    """How a stream fared in a round, and what it ever gave."""

    contract: str
    stream: str
    rows_read: int
    rows_ever: int
    batches_ever: int
    pending: int
    error: str = ""
    # What the source had and will never give: machines remember little.
    holes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoundReport:
    """What one round did; the agent's status file holds it."""

    agent: str
    enterprise: str
    epoch: str
    key_id: str
    started_at: datetime
    finished_at: datetime
    streams: tuple[StreamReport, ...]
    error: str = ""
    # What waits, and the disk space that it may take.
    outbox_bytes: int = 0
    outbox_limit: int = 0
    # The clocks of its sources against its own.
    clocks: tuple[Skew, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing went wrong."""
        return not self.error and not any(each.error for each in self.streams)


_REPORT = TypeAdapter(RoundReport)


def complaints(report: RoundReport) -> list[str]:
    """List what went wrong, each once."""
    return sorted({each for each in (report.error, *(s.error for s in report.streams)) if each})


def write_status(config: AgentConfig, report: RoundReport) -> None:
    """Replace the status file as a whole, so that a reader never sees half of it."""
    path, told = config.status_file, canonical.dumps(asdict(report))
    draft = path.with_name(path.name + ".new")
    try:
        draft.write_bytes(told)
        draft.replace(path)
    except OSError as failed:
        with suppress(OSError):
            # On a full disk there is room for it where the last one stands.
            draft.unlink()
            with path.open("r+b") as file:
                file.write(told)
                file.truncate()
            return
        raise DependencyUnavailableError(
            f"The agent's status cannot be written: {failed.strerror}.",
            where=str(path),
            cure="make room on the disk, or let the agent's user write there.",
        ) from failed


def read_status(config: AgentConfig) -> RoundReport | None:
    """Read how an agent's last round went; nothing if it never made one."""
    try:
        return _REPORT.validate_json(config.status_file.read_bytes())
    except (OSError, ValueError):
        return None


def resident_agents(settings: Settings) -> list[AgentConfig]:
    """List the agents that run on this platform: a file each in the state folder."""
    return [load_agent(path) for path in sorted((settings.state_dir / "agents").glob("*.yaml"))]


def watch(settings: Settings | None = None, seconds: float = 60.0) -> dict[str, object]:
    """Ask every resident agent for a round and wait for it; name the one that is silent."""
    settings = settings or read_settings()
    agents = resident_agents(settings)
    asked_at = clock.now()
    for config in agents:
        _nudge(config)
    deadline = clock.monotonic() + seconds
    return {config.id: _await_round(config, asked_at, deadline) for config in agents}


def _nudge(config: AgentConfig) -> None:
    try:
        config.nudge_file.touch()
    except OSError as failed:
        raise DependencyUnavailableError(
            f"The agent {config.id} cannot be asked for a round: {failed.strerror}.",
            where=str(config.nudge_file),
            cure=f"start it once with `nplusx agent run {config.path}`.",
        ) from failed


def _await_round(config: AgentConfig, asked_at: datetime, deadline: float) -> dict[str, object]:
    while True:
        report = read_status(config)
        if report and report.started_at >= asked_at:
            return _summary(report)
        if clock.monotonic() > deadline:
            seen = report.finished_at if report else "never"
            raise DependencyUnavailableError(
                f"The agent {config.id} is silent; its last round ended: {seen}.",
                where=str(config.path),
                cure=f"start it with `nplusx agent run {config.path}`, or read its log.",
            )
        clock.sleep(_TICK_SECONDS)


def _summary(report: RoundReport) -> dict[str, object]:
    """Give the facts of a round that a scheduler shows."""
    return {
        "finished_at": report.finished_at.isoformat(),
        "rows_read": sum(each.rows_read for each in report.streams),
        "rows_ever": sum(each.rows_ever for each in report.streams),
        "pending": sum(each.pending for each in report.streams),
        "errors": complaints(report),
    }

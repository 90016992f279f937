"""The embedded stack as a whole: up, down, status; the same whoever asks, from whichever shell."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from kernel import canonical, clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from pipeline.settings import ROOT, Settings
from pipeline.stack import broker, health, ports, processes, scheduler, source
from pipeline.stack.layout import Layout
from pipeline.stack.ports import Ports
from pipeline.stack.program import Program, write_configuration
from pipeline.stack.scheduler import AirflowAccess
from pipeline.stack.supervisor import ProcessState, Supervisor

AIRFLOW = tuple(scheduler.COMPONENTS)
PROGRAMS = ("kafka", "source", *AIRFLOW, "portal")
AGENT = "agent-"
_AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_HEALTHY_SECONDS = 180.0
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ProgramStatus:
    """How a program is."""

    name: str
    state: str
    pid: int
    port: int | None
    detail: str

    @property
    def is_running(self) -> bool:
        """Tell whether it does its work."""
        return self.state == "RUNNING"


class Stack:
    """All processes of one state folder; `report` hears of progress."""

    def __init__(
        self, settings: Settings, report: Callable[[str], None] = lambda _line: None
    ) -> None:
        self._settings = settings
        self._layout = Layout(settings.state_dir)
        self._supervisor = Supervisor(self._layout)
        self._report = report

    def up(self, programs: Sequence[str] | None = None) -> None:
        """Start programs, all by default, and wait until they are well; running ones stay."""
        began = clock.monotonic()
        self._layout.prepare()
        with self._layout.lock():
            fresh = not self._supervisor.is_alive()
            try:
                names = self._start(self._wanted(programs))
                self._await_health(names)
            except BaseException:
                # Half a stack helps nobody; one that ran before is left as it was.
                if fresh:
                    self._stop()
                raise
        self._report(f"all {len(names)} programs are well after {clock.monotonic() - began:.0f} s")

    def down(self, *, purge: bool = False) -> None:
        """Stop every process of this stack, whoever started it; with purge, remove its state."""
        if self._layout.stack.exists():
            with self._layout.lock():
                self._stop()
        else:
            processes.sweep(self._layout.state)
        if purge:
            self._layout.purge()

    def reload(self) -> None:
        """Take over new, changed and removed agents."""
        with self._layout.lock():
            running = [state.name for state in self._supervisor.states()]
            fixed = [name for name in running if not name.startswith(AGENT)]
            names = self._start((*fixed, *self._agents()))
            self._await_health(names)

    def status(self) -> tuple[ProgramStatus, ...]:
        """Tell how each program is; nothing when the stack is down."""
        known = ports.recorded(self._layout)
        return tuple(
            ProgramStatus(
                found.name,
                found.state,
                found.pid,
                ports.port_of(known, found.name) if known else None,
                found.detail,
            )
            for found in self._supervisor.states()
        )

    def pid(self, program: str) -> int:
        """Give the process id of a running program."""
        for found in self._supervisor.states():
            if found.name == program and found.pid:
                return found.pid
        raise DependencyUnavailableError(
            f"The program {program} does not run.",
            where=str(self._layout.state),
            cure="run `nplusx up`.",
        )

    def environment(self) -> dict[str, str]:
        """Give what a child process needs to see this stack, and to be ended with it."""
        return {
            **self._base_environment(),
            **scheduler.environment(self._settings, self._layout, self._ports()),
        }

    @property
    def airflow(self) -> AirflowAccess:
        """Give address and login of Airflow."""
        return scheduler.access(self._layout, self._ports())

    @property
    def source_url(self) -> str:
        """Give the SQLAlchemy address of the demo factory's database, password included."""
        return source.url(self._layout, self._ports())

    @contextmanager
    def foreground(self) -> Iterator[None]:
        """Stop the stack when the block ends, also by Ctrl-C, SIGTERM or a closed terminal."""
        with interruptible() as deaf:
            try:
                yield
            finally:
                deaf()
                self.down()

    def _wanted(self, programs: Sequence[str] | None) -> tuple[str, ...]:
        """Join what is asked for to what runs already."""
        everything = [name for name in PROGRAMS if name != "kafka" or not self._external_bus()]
        asked = [*everything, *self._agents()] if programs is None else list(programs)
        unknown = sorted({*asked} - {*PROGRAMS, *self._agents()})
        if unknown:
            raise ConfigurationError(
                f"There is no program {', '.join(unknown)}.",
                cure=f"choose from {', '.join((*PROGRAMS, *self._agents()))}.",
            )
        running = [state.name for state in self._supervisor.states()]
        known = (*PROGRAMS, *self._agents())
        return tuple(name for name in known if name in asked or name in running)

    def _external_bus(self) -> bool:
        return bool(self._settings.kafka.bootstrap_servers)

    def _agents(self) -> tuple[str, ...]:
        files = sorted(self._layout.agents.glob("*.yaml"))
        for file in files:
            if not _AGENT_NAME.fullmatch(file.stem):
                raise ConfigurationError(
                    "An agent's file is named with a-z, 0-9, - and _ only.",
                    where=str(file),
                    cure="rename the file.",
                )
        return tuple(AGENT + file.stem for file in files)

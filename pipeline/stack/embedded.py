"""The embedded stack as a whole: up, down, status; the same whoever asks, from whichever shell."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from pipeline.land import prepare_topics
from pipeline.settings import Settings
from pipeline.stack import assembly, health, ports, processes, scheduler
from pipeline.stack.assembly import AGENT, AIRFLOW, COUNTY, PROGRAMS, Assembly
from pipeline.stack.layout import Layout
from pipeline.stack.ports import Ports
from pipeline.stack.program import write_configuration
from pipeline.stack.scheduler import AirflowAccess
from pipeline.stack.signals import deafened, interruptible
from pipeline.stack.supervisor import Supervisor

_HEALTHY_SECONDS = 180.0
_DEMO_SECONDS = 60.0
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
        self._is_foreground = False

    def up(self, programs: Sequence[str] | None = None) -> None:
        """Start programs, all by default, and wait until they are well; running ones stay."""
        self._layout.prepare()
        # A demo's programs are its own: another shell's settings must not restart them.
        beside = nullcontext() if self._is_foreground else self._claimed(alone=False)
        with beside, self._layout.lock():
            fresh = not self._supervisor.is_alive()
            try:
                self._start(self._wanted(programs))
            except BaseException:
                # Half a stack helps nobody; one that ran before is left as it is.
                if fresh:
                    with deafened():
                        self._stop()
                raise

    def down(self, *, purge: bool = False) -> None:
        """Stop every process of this stack, whoever started it; with purge, remove its state."""
        if self._layout.stack.exists():
            if not self._is_foreground:
                self._end_demo()
            with self._layout.lock():
                self._stop()
        else:
            processes.sweep(self._layout.state)
        if purge:
            self._layout.purge()

    def reload(self) -> None:
        """Take over new, changed and removed agents."""
        with self._layout.lock():
            running = [found.name for found in self._supervisor.states()]
            fixed = [name for name in running if not name.startswith(AGENT)]
            self._start((*fixed, *assembly.agents(self._layout)))

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
        return dict(Assembly(self._settings, self._layout, self._ports()).airflow_environment)

    @property
    def airflow(self) -> AirflowAccess:
        """Give address and login of Airflow."""
        return scheduler.access(self._layout, self._ports())

    @contextmanager
    def foreground(self) -> Iterator[None]:
        """Stop the stack when the block ends, also by Ctrl-C, SIGTERM or a closed terminal."""
        self._layout.prepare()
        with interruptible(), self._claimed(alone=True):
            if self._supervisor.is_alive():
                raise self._occupied(int(self._layout.pid_file.read_text(encoding="utf-8")))
            self._is_foreground = True
            try:
                yield
            finally:
                with deafened():
                    self.down()

    @contextmanager
    def _claimed(self, *, alone: bool) -> Iterator[None]:
        """Hold the state folder, or say who does."""
        handle = self._layout.claim(alone=alone)
        if handle is None:
            raise self._occupied(self._layout.claimant())
        try:
            yield
        finally:
            os.close(handle)

    def _occupied(self, pid: int) -> ConfigurationError:
        known = self._ports()
        return ConfigurationError(
            f"A stack runs in this state folder already: process {pid}, portal {known.portal}, "
            f"Airflow {known.airflow}, Kafka {known.kafka}.",
            where=str(self._layout.state),
            cure="wait until it ends, stop it with `nplusx down`, or set NPLUSX_STATE_DIR and the "
            "ports to start another.",
        )

    def _end_demo(self) -> None:
        """Ask a demo that holds the folder to end, and wait: it stops its stack itself."""
        handle = self._layout.claim(alone=False)
        if handle is None:
            with suppress(ProcessLookupError):
                os.kill(self._layout.claimant(), signal.SIGTERM)
        deadline = clock.monotonic() + _DEMO_SECONDS
        while handle is None and clock.monotonic() < deadline:
            clock.sleep(_PAUSE_SECONDS)
            handle = self._layout.claim(alone=False)
        if handle is not None:
            os.close(handle)

    def _ports(self) -> Ports:
        return ports.recorded(self._layout) or ports.wished(self._settings)

    def _wanted(self, programs: Sequence[str] | None) -> tuple[str, ...]:
        """Join what is asked for to what runs already."""
        known = (*PROGRAMS, COUNTY, *assembly.agents(self._layout))
        # A county that names its own brokers needs none of ours.
        spared = {"kafka"} if self._settings.kafka.bootstrap_servers else set()
        asked = set(known) - spared - {COUNTY} if programs is None else set(programs)
        if asked - set(known):
            raise ConfigurationError(
                f"There is no program {', '.join(sorted(asked - set(known)))}.",
                cure=f"choose from {', '.join(known)}.",
            )
        asked.update(found.name for found in self._supervisor.states())
        return tuple(name for name in known if name in asked)

    def _start(self, names: Sequence[str]) -> None:
        """Bring programs up: what they need first, agents after all they lean on."""
        began = clock.monotonic()
        running = {found.name for found in self._supervisor.states() if found.is_running}
        if not self._supervisor.is_alive() and (left := processes.sweep(self._layout.state)):
            self._report(f"ended {left} processes that an earlier run left")
        missing = [name for name in names if name not in running]
        chosen = ports.choose(self._settings, self._layout, missing)
        parts = Assembly(self._settings, self._layout, chosen)
        write_configuration(self._layout, parts.programs(names))
        if self._supervisor.is_alive():
            self._supervisor.reload()
        else:
            self._supervisor.launch(parts.environment)
        first = [name for name in names if not name.startswith(AGENT)]
        self._prepare_and_start(parts, first)
        self._await_health([name for name in first if name in missing], began)
        if "kafka" in missing:
            prepare_topics(self._settings)
        agents = [name for name in names if name.startswith(AGENT)]
        for name in agents:
            self._supervisor.start(name)
        self._await_health(agents, began)
        self._report(f"{len(names)} programs are well after {clock.monotonic() - began:.0f} s")

    def _prepare_and_start(self, parts: Assembly, names: Sequence[str]) -> None:
        """Start each program as soon as its own preparation is done."""
        preparations = {name: parts.preparation(name) for name in names}
        with ThreadPoolExecutor() as pool:
            jobs = {pool.submit(job): job for job in {*preparations.values()} if job is not None}
            for name in [name for name, job in preparations.items() if job is None]:
                self._supervisor.start(name)
            for done in as_completed(jobs):
                done.result()
                for name in names:
                    if preparations[name] == jobs[done]:
                        self._supervisor.start(name)

    def _await_health(self, names: Sequence[str], began: float) -> None:
        """Wait until programs are well; one that gives up is an error with what it said last."""
        ill = dict.fromkeys(names, "has not been asked")
        while ill:
            found = {state.name: state for state in self._supervisor.states()}
            for name in list(ill):
                if name not in found or found[name].state in {"FATAL", "STOPPED", "EXITED"}:
                    raise self._failure(name, "gave up")
                ill[name] = health.ailment(found[name], self._layout, self._ports())
                if not ill[name]:
                    del ill[name]
                    self._report(f"{name} is well after {clock.monotonic() - began:.0f} s")
            if ill and clock.monotonic() - began > _HEALTHY_SECONDS:
                name, why = next(iter(ill.items()))
                raise self._failure(name, why)
            if ill:
                clock.sleep(_PAUSE_SECONDS)

    def _failure(self, name: str, why: str) -> DependencyUnavailableError:
        log = self._layout.log(name)
        return DependencyUnavailableError(
            f"The program {name} did not get well: it {why}. It said last: {processes.tail(log)}",
            where=str(log),
            cure="mend what it names, then run the command again.",
        )

    def _stop(self) -> None:
        if self._supervisor.is_alive():
            self._supervisor.shutdown()
        processes.sweep(self._layout.state)
        self._layout.clear_socket()


__all__ = ["AIRFLOW", "COUNTY", "PROGRAMS", "ProgramStatus", "Stack"]

"""Which programs a stack has, what each is told, and what must be made before it starts."""

import hashlib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pydantic import BaseModel

from kernel.errors import ConfigurationError
from pipeline.settings import ROOT, Settings
from pipeline.stack import broker, processes, scheduler
from pipeline.stack.layout import Layout
from pipeline.stack.ports import Ports
from pipeline.stack.program import Program

AIRFLOW = tuple(scheduler.COMPONENTS)
PROGRAMS = ("kafka", *AIRFLOW, "portal")
# What a demo needs besides: real systems of factories that do not exist.
COUNTY = "county"
AGENT = "agent-"
_AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_AGENT_STOP_SECONDS = 10
_COUNTY_START_SECONDS, _COUNTY_STOP_SECONDS = 10, 20


def agents(layout: Layout) -> tuple[str, ...]:
    """List the resident agents: one program for each file."""
    files = sorted(layout.agents.glob("*.yaml"))
    for file in files:
        if not _AGENT_NAME.fullmatch(file.stem):
            raise ConfigurationError(
                "An agent's file is named with a-z, 0-9, - and _ only.",
                where=str(file),
                cure="rename the file.",
            )
    return tuple(AGENT + file.stem for file in files)


@dataclass(frozen=True)
class Assembly:
    """The programs of one stack with the ports it has."""

    settings: Settings
    layout: Layout
    ports: Ports

    @cached_property
    def environment(self) -> dict[str, str]:
        """Tell every child the settings of this stack, and mark it as one of its processes."""
        inherited = processes.inherited_environment()
        return {
            **_as_environment(self.settings),
            "NPLUSX_STATE_DIR": str(self.layout.state),
            # The file of the county's own agent names it.
            "NPLUSX_REGISTRY_URL": self.settings.registry_url,
            processes.STACK: str(self.layout.state),
            # The mark must stay readable when a process renames itself.
            "SPT_NOENV": "1",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": _with_loopback(inherited.get("NO_PROXY", "")),
            "no_proxy": _with_loopback(inherited.get("no_proxy", "")),
        }

    @cached_property
    def airflow_environment(self) -> dict[str, str]:
        """Tell Airflow's components, and whoever calls its command line, their configuration."""
        ours = scheduler.environment(self.settings, self.layout, self.ports)
        return {**self.environment, **ours}

    def preparation(self, name: str) -> Callable[[], None] | None:
        """Give what must be done once before a program starts; related programs share it."""
        if name == "kafka":
            return self._prepare_kafka
        if name in AIRFLOW:
            return self._prepare_airflow
        return None

    def programs(self, names: Sequence[str]) -> list[Program]:
        """Describe programs to the supervisor."""
        return [self._program(name) for name in names]

    def _prepare_kafka(self) -> None:
        broker.prepare(self.layout)

    def _prepare_airflow(self) -> None:
        scheduler.prepare(self.layout, self.airflow_environment)

    def _program(self, name: str) -> Program:
        if name == "kafka":
            return broker.program(self.settings, self.layout, self.ports, self.environment)
        if name == COUNTY:
            return self._county()
        if name in AIRFLOW:
            return scheduler.program(name, self.layout, self.airflow_environment)
        if name == "portal":
            return self._ours(name, ("portal", "serve"))
        file = self.layout.agents / f"{name.removeprefix(AGENT)}.yaml"
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        return self._ours(name, ("agent", "run", str(file)), content)

    def _county(self) -> Program:
        """Describe it to the supervisor; what fails within the first moments fails for good."""
        out, county = str(self.layout.county), self.settings.demo
        asked = ("--factories", str(county.factories), "--faults", county.faults)
        started = self._ours(COUNTY, ("county", "generate", "--load", "--out", out, *asked))
        return replace(
            started,
            start_seconds=_COUNTY_START_SECONDS,
            stop_seconds=_COUNTY_STOP_SECONDS,
            stop_group=False,
        )

    def _ours(self, name: str, arguments: tuple[str, ...], content: str = "") -> Program:
        return Program(
            name,
            (sys.executable, "-m", "pipeline.cli", *arguments),
            self.environment,
            self.layout.state,
            stop_seconds=_AGENT_STOP_SECONDS,
            content=content,
        )


def _as_environment(settings: Settings) -> dict[str, str]:
    """Write every setting as its variable, so that children do not depend on a shell."""
    values: dict[str, str] = {}
    for area in type(settings).model_fields:
        section: BaseModel = getattr(settings, area)
        for key in type(section).model_fields:
            value: object = getattr(section, key)
            if value is not None:
                values[f"NPLUSX_{area}_{key}".upper()] = str(value)
    return values


def _with_loopback(hosts: str) -> str:
    """Keep a proxy from swallowing calls within this machine."""
    return ",".join(filter(None, [hosts, "127.0.0.1", "localhost"]))

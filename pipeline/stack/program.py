"""What a program of the stack is, and the supervisor's configuration for a set of them."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from kernel import canonical
from pipeline.stack.layout import Layout


@dataclass(frozen=True, slots=True)
class Program:
    """One process of the stack and how it wants to be stopped."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    # How long it must live to count as started; one that always dies earlier is given up.
    start_seconds: int = 2
    stop_signal: str = "TERM"
    stop_seconds: int = 8
    # The county's servers take the signals meant for their parent in another sense.
    stop_group: bool = True
    # What, if changed, asks for a restart although the command stays the same.
    content: str = ""

    def write(self, layout: Layout) -> tuple[Path, str]:
        """Keep what the launcher needs, readable by its owner only; give its place and digest."""
        text = canonical.dumps({**asdict(self), "directory": str(self.directory)})
        path = layout.specs / f"{self.name}.json"
        layout.write_private(path, text)
        return path, canonical.digest(text)[:12]

    @classmethod
    def read(cls, path: Path) -> "Program":
        """Read what `write` kept."""
        return TypeAdapter(Program).validate_json(path.read_bytes())


_HEAD = """\
; Written by nplusx at every start; changes here are lost.
[unix_http_server]
file = {socket}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
logfile = {log}
logfile_maxbytes = 5MB
logfile_backups = 1
pidfile = {pid}
directory = /
childlogdir = {logs}
umask = 077
{user}
"""

_PROGRAM = """
[program:{name}]
command = {command}
autostart = false
autorestart = true
startsecs = {start}
startretries = 4
stopsignal = {signal}
stopwaitsecs = {seconds}
stopasgroup = {group}
killasgroup = true
redirect_stderr = true
stdout_logfile = {log}
stdout_logfile_maxbytes = 20MB
stdout_logfile_backups = 1
"""


def write_configuration(layout: Layout, programs: Sequence[Program]) -> None:
    """Write the supervisor's configuration and each program's specification."""
    text = _HEAD.format(
        socket=_escaped(layout.socket),
        log=_escaped(layout.log("supervisord")),
        pid=_escaped(layout.pid_file),
        logs=_escaped(layout.logs),
        user="user = root" if os.geteuid() == 0 else "",
    )
    for program in programs:
        spec, digest = program.write(layout)
        command = shlex.join([sys.executable, "-m", "pipeline.stack.launch", str(spec), digest])
        text += _PROGRAM.format(
            name=program.name,
            command=_escaped(command),
            start=program.start_seconds,
            signal=program.stop_signal,
            seconds=program.stop_seconds,
            group=str(program.stop_group).lower(),
            log=_escaped(layout.log(program.name)),
        )
    layout.write_private(layout.configuration, text.encode())


def _escaped(text: Path | str) -> str:
    """Keep the supervisor from reading a per cent sign as a variable."""
    return str(text).replace("%", "%%")

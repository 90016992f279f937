"""Talks to the supervisor of a stack over its socket."""

import http.client
import socket
import sys
import xmlrpc.client
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import cast

from typing_extensions import override

from kernel import clock
from kernel.errors import DependencyUnavailableError
from pipeline.stack import processes
from pipeline.stack.layout import Layout

_CALL_SECONDS = 60.0
_STOP_SECONDS = 30.0
_PAUSE_SECONDS = 0.1
_ALREADY_STARTED = 60
_NOT_RUNNING = 70


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What the supervisor knows of a program."""

    name: str
    state: str
    pid: int
    since: int
    detail: str

    @property
    def is_running(self) -> bool:
        """Tell whether the process is there."""
        return self.state in {"RUNNING", "STARTING"} and self.pid > 0


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_CALL_SECONDS)
        self._path = path

    @override
    def connect(self) -> None:
        opened = socket.socket(socket.AF_UNIX)
        try:
            opened.settimeout(self.timeout)
            opened.connect(self._path)
        except OSError:
            opened.close()
            raise
        self.sock = opened


class _Transport(xmlrpc.client.Transport):
    """Calls through that connection."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    @override
    def make_connection(self, host: tuple[str, dict[str, str]] | str) -> http.client.HTTPConnection:
        connection = _Connection(self._path)
        # Where the base class looks for what it must close.
        self._connection = host, connection
        return connection


class Supervisor:
    """The supervisor of one state folder, running or not."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def is_alive(self) -> bool:
        """Tell whether it answers."""
        try:
            self._call("getPID")
        except xmlrpc.client.Fault:
            return True  # it is on its way down and refuses work, but its processes are there
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False
        return True

    def launch(self, environment: Mapping[str, str]) -> None:
        """Start it in the background, away from this terminal."""
        processes.run_once(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._layout.configuration)],
            environment,
            self._layout.log("supervisord-start"),
        )
        self._wait(alive=True)

    def states(self) -> tuple[ProcessState, ...]:
        """Tell about every program; nothing when it does not run."""
        if not self.is_alive():
            return ()
        answers = cast("Sequence[Mapping[str, str | int]]", self._call("getAllProcessInfo"))
        return tuple(
            ProcessState(
                str(found["name"]),
                str(found["statename"]),
                int(found["pid"]),
                int(found["start"]),
                str(found["spawnerr"] or found["description"]),
            )
            for found in answers
        )

    def start(self, program: str) -> None:
        """Start a program, if it does not run."""
        wait = False
        with _tolerating(_ALREADY_STARTED):
            self._call("startProcess", program, wait)

    def reload(self) -> None:
        """Take over a changed configuration: what is gone or changed stops."""
        answer = cast("list[list[list[str]]]", self._call("reloadConfig"))
        added, changed, removed = answer[0]
        for group in (*changed, *removed):
            with _tolerating(_NOT_RUNNING):
                self._call("stopProcessGroup", group)
            self._call("removeProcessGroup", group)
        for group in (*added, *changed):
            self._call("addProcessGroup", group)

    def shutdown(self) -> None:
        """Stop every program, then the supervisor itself."""
        with suppress(OSError, http.client.HTTPException, xmlrpc.client.Error):
            self._call("shutdown")
        self._wait(alive=False)

    def _call(self, method: str, *arguments: str | bool) -> object:
        transport = _Transport(str(self._layout.socket))
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as server:
            answer: object = getattr(server.supervisor, method)(*arguments)
        return answer

    def _wait(self, *, alive: bool) -> None:
        deadline = clock.monotonic() + _STOP_SECONDS
        while self.is_alive() != alive:
            if clock.monotonic() > deadline:
                # A stop that hangs is finished by the sweep; a start that hangs is an error.
                if not alive:
                    return
                log = self._layout.log("supervisord")
                raise DependencyUnavailableError(
                    f"The supervisor does not answer: {processes.tail(log)}",
                    where=str(log),
                    cure="mend what it names, then run the command again.",
                )
            clock.sleep(_PAUSE_SECONDS)


@contextmanager
def _tolerating(*codes: int) -> Iterator[None]:
    """Let pass the refusal that means the wish is fulfilled already."""
    try:
        yield
    except xmlrpc.client.Fault as refused:
        if refused.faultCode not in codes:
            raise

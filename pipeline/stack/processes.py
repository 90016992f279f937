"""Finds, ends and runs the processes of a stack; its mark is in the environment of each."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from kernel.errors import DependencyUnavailableError

STACK = "NPLUSX_STACK"
PROGRAM = "NPLUSX_PROGRAM"
_ROUNDS = 20
_GRACE_SECONDS = 3.0
_KILL_SECONDS = 1.0
_TAIL_LINES = 5


def inherited_environment() -> dict[str, str]:
    """Give what this process was started with, to be passed on; settings are not read from it."""
    return psutil.Process().environ()


def marked(state: Path, program: str | None = None) -> list[psutil.Process]:
    """Find the processes of a stack, or of one of its programs, and their descendants."""
    spared = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    everybody = list(psutil.process_iter())
    found = {process.pid: process for process in everybody if _carries(process, state, program)}
    # A program may overwrite its environment when it renames itself: its parents still tell.
    parents = {process.pid: parent for process in everybody if (parent := _parent(process))}
    for process in everybody:
        if any(pid in found for pid in _ancestors(process.pid, parents)):
            found[process.pid] = process
    return [
        process for pid, process in sorted(found.items()) if pid not in spared and _lives(process)
    ]


def sweep(state: Path, program: str | None = None) -> int:
    """End every process of a stack, or of one program; tell how many there were."""
    seen: set[int] = set()
    for attempt in range(_ROUNDS):
        left = marked(state, program)
        if not left:
            return len(seen)
        seen.update(process.pid for process in left)
        for process in left:
            _end(process, gently=attempt == 0 and program is None)
        psutil.wait_procs(left, timeout=_KILL_SECONDS if attempt else _GRACE_SECONDS)
    pids = ", ".join(str(process.pid) for process in marked(state, program))
    raise DependencyUnavailableError(
        "Some processes of the stack do not end.",
        where=f"process ids {pids}",
        cure="end them by hand, then run the command again.",
    )


def owns_port(pid: int, port: int) -> bool:
    """Tell whether a process or a descendant of it listens on a port."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return False
    return any(port in _listening(member) for member in family)


def holder(port: int) -> str:
    """Name who listens on a port, as far as we may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            taken = connection.laddr and connection.laddr.port == port
            if taken and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f"{psutil.Process(connection.pid).name()}, process id {connection.pid}"
    except psutil.Error:
        pass
    return "a process that this account may not see"


def ask(*argv: str) -> tuple[int, str]:
    """Run a short command; give its exit code and all that it said."""
    done = _run(argv, subprocess.PIPE, {})
    return done.returncode, done.stdout.decode(errors="replace")


def run_once(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """Run a command to its end; a failure is reported with the last lines it said."""
    with log.open("wb") as out:
        done = _run(argv, out, environment)
    if done.returncode:
        raise DependencyUnavailableError(
            f"{Path(argv[0]).name} {' '.join(argv[1:4])} ended with {done.returncode}: {tail(log)}",
            where=str(log),
            cure="mend what it names, then run the command again.",
        )


def tail(log: Path) -> str:
    """Give the last lines of a log in one line."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return " | ".join(line.strip() for line in lines[-_TAIL_LINES:] if line.strip()) or "(no log)"


def _run(
    argv: Sequence[str], out: IO[bytes] | int, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(  # noqa: S603  # each command is ours, from settings and constants
        list(argv),
        env={**inherited_environment(), **environment},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        check=False,
        cwd="/",
    )


def _carries(process: psutil.Process, state: Path, program: str | None) -> bool:
    try:
        environment = process.environ()
    except (psutil.Error, OSError):
        return False
    ours = environment.get(STACK) == str(state)
    return ours and (program is None or environment.get(PROGRAM) == program)


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


def _ancestors(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    while (parent := parents.get(pid)) is not None and parent != pid:
        yield parent
        pid = parent


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _end(process: psutil.Process, *, gently: bool) -> None:
    try:
        if gently:
            process.terminate()
        else:
            process.kill()
    except psutil.Error:
        return


def _listening(process: psutil.Process) -> set[int]:
    try:
        return {
            connection.laddr.port
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
    except psutil.Error:
        return set()

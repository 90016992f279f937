"""Runs a program for as long as somebody holds our input open, then ends all that it started.

An agent that is killed cannot end its taps nor take away what it wrote for them, but the pipe
that it held ends with it.
"""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from threading import Thread

GRACE_SECONDS = 3.0
_NOT_FOUND = 127


def _end(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _watch(child: "subprocess.Popen[bytes]") -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    _end(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_SECONDS)
    _end(child.pid, signal.SIGKILL)


def main(folder: str, command: list[str]) -> int:
    """Give the program's exit code, or that of a shell if it was ended by a signal.

    The folder is the program's own, and goes with it.
    """
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    except OSError as missing:
        sys.stderr.write(f"{command[0]}: {missing.strerror}\n")
        return _NOT_FOUND
    Thread(target=_watch, args=(child,), daemon=True).start()
    code = child.wait()
    # What it left behind would hold our pipes open.
    _end(child.pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

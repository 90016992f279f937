"""Becomes one program of the stack; the supervisor runs it with the program's file."""

import os
import sys
from pathlib import Path

from pipeline.stack import processes
from pipeline.stack.program import Program


def main() -> None:
    """Clear what a killed predecessor left, then turn into the program."""
    program = Program.read(Path(sys.argv[1]))
    state = Path(program.environment[processes.STACK])
    processes.sweep(state, program.name)
    environment = {**processes.inherited_environment(), **program.environment}
    environment[processes.PROGRAM] = program.name
    os.chdir(program.directory)
    os.execvpe(program.argv[0], list(program.argv), environment)  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    main()

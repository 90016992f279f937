"""Landers and maintainers as processes that may be killed: forked from one with all imported."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tests.code_health.tree import ROOT

# Words on standard input, answers on standard output. It starts no threads, so a fork is sound.
_NURSERY = """
import os, sys, time
import confluent_kafka, deltalake, kafka, pyarrow.dataset
from kernel.errors import NplusxError
from kernel.log import configure
from pipeline import land, maintain, replay

configure(as_json=True, level="error")

def tend(_contract):
    maintain.maintain()
    # A table that is fenced without a pause lets no lander through.
    time.sleep(0.3)

works = {"land": land.land, "follow": land.land, "replay": replay.replay, "tend": tend}

def work(word, contract):
    try:
        while True:
            works[word](contract)
            if word not in ("follow", "tend"):
                os._exit(0)
    except NplusxError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(error.exit_code)

for line in sys.stdin:
    word, argument = line.split()
    if word == "wait":
        print(os.waitstatus_to_exitcode(os.waitpid(int(argument), 0)[1]), flush=True)
        continue
    pid = os.fork()
    if pid == 0:
        work(word, argument)
    print(pid, flush=True)
"""


@dataclass(frozen=True)
class Nursery:
    """Asks for landers, and for how they ended."""

    process: "subprocess.Popen[str]"
    contract: str

    def _ask(self, words: str) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, word: str) -> int:
        """Start one that lands once, follows, replays or tends; give its process id."""
        return self._ask(f"{word} {self.contract}")

    def wait(self, pid: int) -> int:
        """Wait for its end; give the exit code, or minus the signal."""
        return self._ask(f"wait {pid}")

    def run(self, word: str) -> int:
        """Start one and wait for its end."""
        return self.wait(self.start(word))


@contextmanager
def nursery(variables: Mapping[str, str], contract: str) -> Iterator[Nursery]:
    """Keep a nursery whose landers work with these settings."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("NPLUSX_")}
    process = subprocess.Popen(
        [sys.executable, "-c", _NURSERY], cwd=ROOT, env={**kept, **variables}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Nursery(process, contract)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()

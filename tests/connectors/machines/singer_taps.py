"""Singer taps from the package registry, each in an environment of its own."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from tests.broker import run
from tests.connectors.machines.processes import HERE

LOCKS = HERE / "taps"


def program(name: str) -> str:
    """Give the program of a tap; it is installed where `make setup` has not."""
    lock = LOCKS / f"{name}.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = Path(sys.prefix) / "share" / "nplusx" / f"tap-{name}-{digest}"
    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.tests")
        shutil.rmtree(draft, ignore_errors=True)
        run(sys.executable, "-m", "venv", str(draft), seconds=300)
        pip = (str(draft / "bin" / "python"), "-m", "pip", "install", "-q", "--require-hashes")
        run(*pip, "-r", str(lock), seconds=900)
        # Its programs name the folder in which they were made.
        for each in (draft / "bin").glob("tap-*"):
            each.write_text(each.read_text("utf-8").replace(str(draft), str(folder)), "utf-8")
        draft.rename(folder)
    return os.fspath(folder / "bin" / f"tap-{name}")

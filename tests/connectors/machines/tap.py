"""A tap that prints what it is told: a program in the language of the tests."""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

LEFT = "import sys, time; time.sleep(float(sys.argv[1]))"


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


CATALOG = {
    "streams": [
        {
            "tap_stream_id": "thing",
            "stream": "thing",
            "key_properties": ["id"],
            "schema": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "note": {"type": ["null", "string"]},
                    "changed": {"type": "string", "format": "date-time"},
                },
            },
        },
        {"tap_stream_id": "other", "stream": "other", "schema": {}},
    ]
}


def rows(start: int, end: int) -> None:
    for n in range(start, end):
        say(type="RECORD", stream="thing", record={"id": str(n), "note": f"n{n}"})


def write(out: TextIO, text: str) -> None:
    out.write(text + "\n")
    out.flush()


STEPS: dict[str, Callable[[object], object]] = {
    "complain": lambda text: write(sys.stderr, str(text)),
    "sleep": time.sleep,
    "stubborn": lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "leave": lambda seconds: subprocess.Popen([sys.executable, "-c", LEFT, str(seconds)]),
    "exit": sys.exit,
    "row": lambda row: say(type="RECORD", stream="thing", record=row),
    "rows": lambda span: rows(*span),
    "state": lambda value: say(type="STATE", value=value),
}


def play(step: object) -> None:
    """Do one step of the script; a text is printed as it is, so is a whole message."""
    if isinstance(step, str):
        write(sys.stdout, step)
    elif "type" in step:
        say(**step)
    else:
        for name, value in step.items():
            STEPS[name](value)


def main() -> None:
    asked = argparse.ArgumentParser()
    for name in ("config", "catalog", "properties", "state"):
        asked.add_argument(f"--{name}", type=Path)
    asked.add_argument("--discover", action="store_true")
    given = asked.parse_args()
    config = json.loads(given.config.read_text("utf-8"))
    if given.discover:
        sys.stdout.write(json.dumps(config.get("catalog", CATALOG)))
        return
    chosen = given.catalog or given.properties
    seen = {
        "catalog": json.loads(chosen.read_text("utf-8")),
        "option": "catalog" if given.catalog else "properties",
        "state": json.loads(given.state.read_text("utf-8")) if given.state else None,
        "mode": oct(given.config.stat().st_mode & 0o777),
    }
    Path(config["seen"]).write_text(json.dumps(seen), "utf-8")
    for step in json.loads(Path(config["script"]).read_text("utf-8")):
        play(step)


if __name__ == "__main__":
    main()

"""What users would pick instead, each in an environment of its own."""

import json
import subprocess
from pathlib import Path

from pipeline.settings import ROOT

_HERE = Path(__file__).parent


def run(peer: str, job: dict[str, object], folder: Path) -> dict[str, object]:
    """Give a peer its job; what it prints last is what it measured."""
    file = folder / f"{peer}.json"
    file.write_text(json.dumps(job), "utf-8")
    done = subprocess.run(
        [_python(peer), _HERE / peer / "run.py", file],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


def _python(peer: str) -> Path:
    """Give the peer's Python; its environment is made once, of exactly what its list names."""
    home = _HERE / peer / ".venv"
    python = home / "bin" / "python"
    if not python.exists():
        uv = ROOT / ".venv" / "bin" / "uv"
        locked = _HERE / peer / "requirements.lock"
        subprocess.run([uv, "venv", "-q", "--clear", home], check=True)
        install = [uv, "pip", "install", "-q", "--require-hashes", "--python", python, "-r", locked]
        subprocess.run(install, check=True)
    return python


def spark_jars() -> str:
    """Name the jars that let Spark write Delta; Maven fetches them once."""
    folder = _HERE / "spark" / ".jars"
    if not folder.is_dir():
        draft = folder.with_name(".jars.draft")
        subprocess.run(
            ["mvn", "-q", "-B", f"-f{_HERE / 'spark/pom.xml'}", "dependency:copy-dependencies",
             f"-DoutputDirectory={draft}"],
            check=True,
        )  # fmt: skip
        draft.rename(folder)
    return ",".join(str(each) for each in sorted(folder.glob("*.jar")))

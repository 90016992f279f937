"""A factory's PC: what the edge lock names and our wheel, in an environment of its own."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

from pipeline.settings import ROOT

_UV = Path(sys.executable).with_name("uv")
_MIB = 1 << 20


@cache
def index_settings() -> dict[str, str]:
    """Give uv the index that pip is configured for, as deploy/setup.sh does."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, str] = {}
    for line in sorted(told.splitlines()):
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        for option, variable in (("index-url", "UV_DEFAULT_INDEX"), ("cert", "SSL_CERT_FILE")):
            if key == option:
                found[variable] = str(ast.literal_eval(value))
    return found


def install(folder: Path) -> Path:
    """Install an agent into an empty folder, compiled as pip does it; give the environment."""
    home = folder / "edge"
    python = home / "bin" / "python"
    _uv("venv", "-q", "--python", sys.executable, home)
    _uv(
        "pip", "install", "-q", "--require-hashes", "--compile-bytecode", "--link-mode", "copy",
        "--python", python, "-r", ROOT / "requirements-edge.lock",
    )  # fmt: skip
    wheel = _wheel(folder)
    _uv("pip", "install", "-q", "--no-deps", "--compile-bytecode", "--python", python, wheel)
    return home


def _wheel(folder: Path) -> Path:
    """Build our wheel from a copy, so that nothing of it is left in the checkout."""
    source, out = folder / "source", folder / "wheel"
    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    for pattern in told["packages"]["find"]["include"]:
        name = pattern.rstrip("*")
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("node_modules"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    _uv("build", "-q", "--wheel", "--no-build-isolation", "-o", out, source)
    (wheel,) = out.glob("*.whl")
    return wheel


def _uv(*words: str | Path) -> None:
    environment = {**index_settings(), **os.environ, "VIRTUAL_ENV": sys.prefix}
    done = subprocess.run(
        [_UV, *words], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"uv {words[0]}: {done.stderr}")


def mebibytes(folder: Path) -> int:
    """Tell how much of the disk a folder takes."""
    return sum(each.lstat().st_blocks * 512 for each in folder.rglob("*")) // _MIB

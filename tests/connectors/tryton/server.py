"""Starts a real Tryton, an ERP, on a factory that was filled in once and then copied."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.broker import free_port
from tests.connectors.machines.processes import Program

HERE = Path(__file__).parent
ADMIN, PASSWORD, STRANGER = "admin", "admin-pass-1", "stranger-pass-1"
ORDERS = 4
_MODULES = ("account_invoice_stock", "sale", "purchase", "production")


def _digest(*names: str) -> str:
    whole = b"".join((HERE / name).read_bytes() for name in names)
    return hashlib.sha256(whole).hexdigest()[:12]


def _home() -> Path:
    home = Path(sys.prefix) / "share/nplusx" / f"tryton-{_digest('requirements.lock')}"
    assert (home / ".complete").exists(), "run `make setup`: it installs Tryton"
    return home


def _config(folder: Path, port: int) -> Path:
    path = folder / "tryton.conf"
    path.write_text(
        f"[database]\nuri = sqlite://\npath = {folder}\n[web]\nlisten = 127.0.0.1:{port}\n", "utf-8"
    )
    return path


def filled() -> Path:
    """Give a filled database; made once for each version of Tryton and of what fills it."""
    kept = _home() / f"filled-{_digest('populate.py')}.sqlite"
    if kept.exists():
        return kept
    folder = _home() / f"new-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        (folder / "erp.sqlite").touch()
        (folder / "pass").write_text(PASSWORD, "utf-8")
        config, with_pass = _config(folder, 1), {"TRYTONPASSFILE": str(folder / "pass")}
        make = ["trytond-admin", "-c", str(config), "-d", "erp", "-u", *_MODULES]
        fill = ["python", str(HERE / "populate.py"), str(config), "erp", str(ORDERS)]
        fill += [STRANGER]
        for command in ([*make, "--email", "a@example.com", "--activate-dependencies"], fill):
            command[0] = str(_home() / "bin" / command[0])
            done = subprocess.run(
                command,
                env=os.environ | with_pass,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-4000:]
        # Complete or absent, whoever else makes it at the same time.
        (folder / "erp.sqlite").replace(kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return kept


class Tryton(Program):
    """One server with a factory of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        port = free_port()
        shutil.copy(filled(), folder / "erp.sqlite")
        command = [str(_home() / "bin/trytond"), "-c", str(_config(folder, port)), "-d", "erp"]
        super().__init__(command, port, folder / "log")
        self.address = f"http://127.0.0.1:{port}/erp/"

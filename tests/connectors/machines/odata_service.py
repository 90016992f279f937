"""An SAP CAP server with the county's model of a factory, on a PostgreSQL: OData V4, and V2."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg

from county import shape
from tests.broker import free_port, run, wait_until_owned
from tests.connectors.machines.processes import HERE
from tests.postgres import USER, Server

PACKAGES = HERE / "cap"
MODEL = shape.FOLDER / "odata_factory.cds"


def modules() -> Path:
    """Give the folder of the server's packages; npm fetches them where `make setup` has not."""
    lock = (PACKAGES / "package-lock.json").read_bytes()
    folder = Path(sys.prefix) / "share" / "nplusx" / f"cap-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.tests")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for each in ("package.json", "package-lock.json"):
            shutil.copy(PACKAGES / each, draft)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--prefix", str(draft), seconds=300)
        draft.rename(folder)
    return folder / "node_modules"


class Service:
    """A service; it can be stopped and started again on the same port and database."""

    def __init__(self, folder: Path, postgres: Server) -> None:
        self.url = postgres.fresh()
        self.port = free_port()
        self._folder, self._process = folder, None
        shutil.copy(PACKAGES / "package.json", folder)
        (folder / "srv").mkdir()
        shutil.copy(MODEL, folder / "srv" / "factory.cds")
        (folder / "node_modules").symlink_to(modules())
        credentials = {
            "host": "127.0.0.1", "port": postgres.port, "user": USER, "password": "",
            "database": self.url.rpartition("/")[2],
        }  # fmt: skip
        database = {"kind": "postgres", "credentials": credentials}
        self._environment = {
            **os.environ,
            "CDS_CONFIG": json.dumps({"requires": {"db": database}}),
            "NODE_OPTIONS": f"--no-deprecation --require {PACKAGES / 'loopback.cjs'}",
        }
        subprocess.run(
            [*self._node("deploy.js")], cwd=folder, env=self._environment, check=True,
            capture_output=True, timeout=120,
        )  # fmt: skip

    def _node(self, script: str, *arguments: str) -> list[str]:
        program = self._folder / "node_modules" / "@sap" / "cds" / "bin" / script
        return [shutil.which("node") or "node", str(program), *arguments]

    def address(self, version: int = 4) -> str:
        # The adapter names links so whatever it was asked by.
        return f"http://localhost:{self.port}/odata/v{version}/factory/"

    def start(self) -> None:
        log = self._folder / "log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                self._node("serve.js", "all", "--port", str(self.port)),
                cwd=self._folder, env=self._environment, stdout=out, stderr=out,
            )  # fmt: skip
        wait_until_owned(self._process, self.port, log)

    def stop(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def run(self, query: str, *values: object) -> None:
        """Change what is behind the service."""
        with psycopg.connect(self.url) as db:
            db.execute(query, values)

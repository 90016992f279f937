"""SAP's own CAP server with the model of a factory, on a PostgreSQL: OData V4, and V2."""

import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

from county import shape
from county.servers import programs
from county.servers.programs import Child
from kernel import canonical

FOLDER = Path(__file__).parent / "cap"
MODEL = shape.FOLDER / "odata_factory.cds"
READER = "reader"


class Cap:
    """A service over a database; it can be stopped and started again on the same port."""

    def __init__(self, folder: Path, database: str) -> None:
        (folder / "srv").mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self.port = programs.port(folder / "port")
        self.password_file = folder / f"{READER}.password"
        word = programs.secret(self.password_file)
        shutil.copy(FOLDER / "package.json", folder)
        shutil.copy(MODEL, folder / "srv" / "factory.cds")
        modules = folder / "node_modules"
        modules.unlink(missing_ok=True)
        modules.symlink_to(programs.node_modules("cap", FOLDER))
        told = urlsplit(database)
        credentials = {
            "host": told.hostname, "port": told.port, "user": unquote(told.username or ""),
            "password": unquote(told.password or ""), "database": told.path.lstrip("/"),
        }  # fmt: skip
        requires = {
            "db": {"kind": "postgres", "credentials": credentials},
            "auth": {"users": {READER: {"password": word}}},
        }
        self._environment = {
            "PATH": os.defpath,
            "CDS_CONFIG": canonical.dumps({"requires": requires}).decode(),
            "NODE_OPTIONS": f"--no-deprecation --require {FOLDER / 'loopback.cjs'}",
        }
        argv = self._node("serve.js", "all", "--port", str(self.port))
        self._child = Child(
            argv, self.port, folder / "log", folder=folder, environment=self._environment
        )

    def _node(self, script: str, *arguments: str) -> list[str]:
        program = self._folder / "node_modules" / "@sap" / "cds" / "bin" / script
        return [programs.find("node"), str(program), *arguments]

    def address(self, version: int = 4) -> str:
        """Give the address of the service; the adapter names links as it was asked."""
        return f"http://localhost:{self.port}/odata/v{version}/factory/"

    def deploy(self) -> None:
        """Make the model's tables in the database."""
        programs.run(self._node("deploy.js"), folder=self._folder, environment=self._environment)

    def start(self) -> None:
        """Start it."""
        self._child.start()

    def stop(self) -> None:
        """Stop it."""
        self._child.stop()

    def kill(self) -> None:
        """End it as a power cut does."""
        self._child.kill()

    @property
    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return self._child.is_alive

"""Tryton, an ERP, in an environment of its own: one server with a database for each factory."""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from county.servers import programs
from county.servers.programs import LOOPBACK, Child
from county.shape import Table
from kernel import canonical
from kernel.errors import DependencyUnavailableError

FOLDER = Path(__file__).parent / "tryton"
PREPARE, FILL = FOLDER / "prepare.py", FOLDER / "fill.py"
READER = "reader"
_MAKING = Lock()
_MODULES = ("account_invoice_stock", "sale", "purchase", "production")


def home() -> Path:
    """Name Tryton's environment, which `make setup` makes by its lock."""
    found = Path(sys.prefix) / "share" / "nplusx" / f"tryton-{digest(FOLDER / 'requirements.lock')}"
    if not (found / ".complete").exists():
        raise DependencyUnavailableError(
            "Tryton is not there.", where=str(found), cure="run `make setup`, which installs it."
        )
    return found


def digest(*paths: Path) -> str:
    """Name what files hold."""
    return hashlib.sha256(b"".join(each.read_bytes() for each in paths)).hexdigest()[:12]


def configure(folder: Path, port: int) -> Path:
    """Write a configuration: databases are files of a folder."""
    path = folder / "tryton.conf"
    text = f"[database]\nuri = sqlite://\npath = {folder}\n[web]\nlisten = {LOOPBACK}:{port}\n"
    path.write_text(text, "utf-8")
    return path


def run(program: str, *arguments: object, **environment: str) -> None:
    """Run a program of Tryton's environment to its end."""
    argv = [str(home() / "bin" / program), *map(str, arguments)]
    programs.run(argv, environment={"PATH": os.defpath, **environment})


@contextmanager
def drafted(kept: Path) -> Iterator[Path]:
    """Give the place of a draft; complete or absent, whoever else makes it at the same time."""
    folder = home() / f"new-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder / "made.sqlite"
        (folder / "made.sqlite").replace(kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def template() -> Path:
    """Give a database that is ready for a factory; it takes half a minute once for each version."""
    kept = home() / f"ready-{digest(PREPARE)}.sqlite"
    with _MAKING:
        if not kept.exists():
            with drafted(kept) as draft:
                _make(draft)
    return kept


def _make(draft: Path) -> None:
    draft.touch()
    word = draft.with_name("password")
    programs.secret(word)
    conf = configure(draft.parent, 1)
    told = ("-c", conf, "-d", draft.stem, "--email", "owner@example.com", "-u", *_MODULES)
    run("trytond-admin", *told, "--activate-dependencies", TRYTONPASSFILE=str(word))
    run("python", PREPARE, conf, draft.stem)


class Tryton:
    """A server; it can be stopped and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self.port = programs.port(folder / "port")
        self.password_file = folder / f"{READER}.password"
        programs.secret(self.password_file)
        self._conf = configure(folder, self.port)
        self._child: Child | None = None

    def address(self, database: str) -> str:
        """Give the address of a database."""
        return f"http://{LOOPBACK}:{self.port}/{database}/"

    def load(self, database: str, tables: Iterable[Table]) -> None:
        """Make a database of a factory's books, or make it anew."""
        fresh = self._folder / f"{database}_new.sqlite"
        shutil.copyfile(template(), fresh)
        self._fill(fresh.stem, tables, self.password_file)
        fresh.rename(self._folder / f"{database}.sqlite")

    def append(self, database: str, tables: Iterable[Table]) -> None:
        """Enter what comes later."""
        self._fill(database, tables)

    def _fill(self, database: str, tables: Iterable[Table], *more: Path) -> None:
        file = self._folder / f"{database}.json"
        file.write_bytes(canonical.dumps({each.name: each.rows.to_pylist() for each in tables}))
        run("python", FILL, self._conf, database, file, *more)
        file.unlink()

    def start(self) -> None:
        """Start it with the databases that are there; it knows no others until it starts again."""
        names = ["-d", *sorted(each.stem for each in self._folder.glob("*.sqlite"))]
        argv = [str(home() / "bin" / "trytond"), "-c", str(self._conf), *names]
        self._child = Child(argv, self.port, self._folder / "log")
        self._child.start()

    def stop(self) -> None:
        """Stop it."""
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._child is not None:
            self._child.kill()

    @property
    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return self._child is not None and self._child.is_alive

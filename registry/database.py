"""Opens the registry's database and moves it forward, never back."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from registry.models import Base

_SCRIPTS = Path(__file__).parent / "migrations"
_BUSY_MILLISECONDS = 15_000
_MOMENT = 0.02
# Any number, so long as every process that migrates asks for the same one.
_MIGRATION_LOCK = 523_240_530


@dataclass(frozen=True, slots=True)
class Registry:
    """Who is who, in a database."""

    engine: Engine

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Read in one consistent view."""
        with _told(self.engine), Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Write all or nothing; the lock is taken first, so no writer loses what another wrote."""
        writer = self.engine.execution_options(is_write=True)
        with _told(self.engine), Session(writer) as session, session.begin():
            yield session

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def save(self, kind: type[Base], values: Mapping[str, object]) -> None:
        """Insert a row, or replace what the row of the same key says."""
        keys = [column.name for column in inspect(kind).primary_key]
        changed = {name: value for name, value in values.items() if name not in keys}
        with self.writing() as session:
            if self.engine.dialect.name == "sqlite":
                lite = sqlite.insert(kind).values(dict(values))
                session.execute(lite.on_conflict_do_update(index_elements=keys, set_=changed))
            else:
                full = postgresql.insert(kind).values(dict(values))
                session.execute(full.on_conflict_do_update(index_elements=keys, set_=changed))


def open_registry(url: str) -> Registry:
    """Open a database; SQLite for one machine, PostgreSQL for several."""
    try:
        address = make_url(url)
        kind = address.get_backend_name()
    except exc.ArgumentError as broken:
        raise _no_address(url) from broken
    if kind == "sqlite" and address.database and address.database != ":memory:":
        _make_folder(Path(address.database).parent)
        engine = create_engine(address)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif kind == "postgresql":
        engine = create_engine(address.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    else:
        raise _no_address(address.render_as_string(hide_password=True))
    return Registry(engine)


def migrate(registry: Registry) -> None:
    """Bring the database to this version; twice or by two at once is as good as once."""
    # The edge install has no Alembic: it has no registry either.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    writer = registry.engine.execution_options(is_write=True)
    with _told(registry.engine), writer.begin() as connection:
        if registry.engine.dialect.name == "postgresql":
            connection.execute(
                text("select pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK}
            )
        version = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in scripts.walk_revisions()}
        if version is not None and version not in known:
            raise ConfigurationError(
                f"The registry is of version {version}, newer than this program knows.",
                where=registry.engine.url.render_as_string(hide_password=True),
                cure="install the newer nplusx, or restore a backup of this version.",
            )
        if version != scripts.get_current_head():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise DependencyUnavailableError(
            f"The registry's folder cannot be made: {refused.strerror}.",
            where=str(folder),
            cure="set NPLUSX_STATE_DIR to a folder that this account may write.",
        ) from refused


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    """Turn what the database says into what a person can do."""
    where = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except (exc.IntegrityError, exc.DataError) as broken:
        raise ConfigurationError(
            f"The registry refuses this row: {broken.orig}.",
            where=where,
            cure="correct it, or enter first what it names: enterprise, agent or project.",
        ) from broken
    except exc.StatementError as broken:
        if isinstance(broken.orig, ConfigurationError):
            raise broken.orig from None
        raise DependencyUnavailableError(
            f"The registry cannot be used: {broken.orig}.",
            where=where,
            cure="check that the database is there, writable and migrated.",
        ) from broken


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    """Let several processes share the file; leave transactions to `_begin_sqlite`."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"pragma busy_timeout = {_BUSY_MILLISECONDS}")
    _write_ahead(cursor)
    cursor.execute("pragma foreign_keys = ON")
    cursor.close()


def _write_ahead(cursor: DBAPICursor) -> None:
    """Let readers and a writer go together; of this change alone SQLite waits for nobody."""
    deadline = clock.monotonic() + _BUSY_MILLISECONDS / 1000
    while True:
        try:
            cursor.execute("pragma journal_mode = WAL")
        except sqlite3.OperationalError:
            if clock.monotonic() > deadline:
                raise
            clock.sleep(_MOMENT)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    is_write = connection.get_execution_options().get("is_write", False)
    connection.exec_driver_sql("begin immediate" if is_write else "begin")


def _no_address(url: str) -> ConfigurationError:
    return ConfigurationError(
        f"{url!r} is no address of a registry.",
        where="NPLUSX_REGISTRY_URL",
        cure="write sqlite:///<file> or postgresql://<user>@<host>/<database>.",
    )

"""The same registry on a real PostgreSQL, started for this test."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from kernel.errors import ConfigurationError
from registry import claims, people
from registry.database import Registry, migrate, open_registry
from registry.models import Base
from tests.broker import free_port
from tests.registry.samples import AT, FACTORY, LINE, PROJECT

pytestmark = pytest.mark.real_system
NOBODY = 65534


def _binary(name: str) -> str:
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(debian[-1]) if debian else shutil.which(name)
    assert found is not None, f"{name} is missing: install postgresql"
    return found


def _run(*command: str) -> None:
    # PostgreSQL refuses to run as root.
    user = NOBODY if os.geteuid() == 0 else None
    subprocess.run(  # our own command
        command, check=True, user=user, stdout=subprocess.DEVNULL, cwd="/", timeout=60
    )


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Start a server of our own on loopback, and stop it."""
    with TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        data, port = f"{folder}/data", free_port()
        _run(_binary("initdb"), "-D", data, "-A", "trust", "-U", "county", "-E", "UTF8")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        control = _binary("pg_ctl")
        _run(control, "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql://county@127.0.0.1:{port}/postgres"
        finally:
            _run(control, "-D", data, "-w", "-m", "immediate", "stop")


@pytest.fixture
def registry(postgres: str) -> Iterator[Registry]:
    made = open_registry(postgres)
    migrate(made)
    migrate(made)
    yield made
    made.close()


def test_migrations_make_the_tables_of_the_models(registry: Registry) -> None:
    with registry.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_claim_comes_back_to_the_fen_and_is_replaced_not_doubled(registry: Registry) -> None:
    line = replace(LINE, net_cny=Decimal("9999999999999999.99"))
    people.save_enterprise(registry, FACTORY)
    claims.save(registry, PROJECT, AT)
    claims.save(registry, LINE, AT)
    claims.save(registry, line, AT)
    assert people.enterprises(registry) == {FACTORY.uscc: FACTORY}
    assert claims.projects(registry) == (PROJECT,)
    assert claims.claim_lines(registry) == (line,)


def test_a_text_that_does_not_fit_is_the_row_s_fault_not_the_database_s(registry: Registry) -> None:
    people.save_enterprise(registry, FACTORY)
    with pytest.raises(ConfigurationError, match=r"refuses this row.*too long"):
        claims.save(registry, replace(PROJECT, title="长" * 201), AT)

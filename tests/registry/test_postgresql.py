"""The same registry on a real PostgreSQL, started for this test."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from kernel.errors import ConfigurationError
from registry import claims, people
from registry.database import Registry, migrate, open_registry
from registry.models import Base
from tests.registry.samples import AT, FACTORY, LINE, PROJECT
from tests.servers import PostgresServer, running

pytestmark = pytest.mark.real_system


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Start a server of our own on loopback, and stop it."""
    with running(PostgresServer) as server:
        yield server.fresh()


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

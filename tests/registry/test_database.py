"""Opening, migrating, refusing."""

import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text

from kernel import yaml
from kernel.errors import ConfigurationError, DependencyUnavailableError
from registry import claims, people
from registry.database import Registry, migrate, open_registry
from registry.models import Base, ClaimLineRow
from tests.registry.samples import AT, FACTORY, LINE, PROJECT

CONTRACTS = Path(__file__).parents[2] / "contracts"


def test_migrations_make_the_tables_of_the_models(registry: Registry) -> None:
    with registry.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.parametrize(
    ("table", "contract"),
    [
        ("scale_listing", "gov/enterprise.v1"),
        ("retrofit_project", "retrofit/project.v1"),
        ("claim_line", "retrofit/invoice_line.v1"),
        ("acceptance", "retrofit/acceptance.v1"),
    ],
)
def test_a_published_table_holds_what_its_contract_requires_and_nothing_else(
    table: str, contract: str
) -> None:
    promised = yaml.load_mapping(CONTRACTS / f"{contract}.odcs.yaml")["schema"][0]["properties"]
    required = {each["name"]: each.get("required", False) for each in promised}
    held = {each.name: not each.nullable for each in Base.metadata.tables[table].columns}
    # What is optional may be known to another authority, not to this registry.
    assert held.items() <= required.items()
    assert {name for name, needed in required.items() if needed} <= set(held)


def test_migrating_twice_is_as_good_as_once(registry: Registry) -> None:
    people.save_enterprise(registry, FACTORY)
    migrate(registry)
    assert list(people.enterprises(registry)) == [FACTORY.uscc]


def test_four_that_migrate_at_once_make_one_registry(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'registry.sqlite'}"
    failures: list[Exception] = []

    def run() -> None:
        try:
            registry = open_registry(url)
            migrate(registry)
            registry.close()
        except Exception as failure:  # noqa: BLE001  # collected to be asserted on
            failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    made = open_registry(url)
    assert claims.projects(made) == ()
    made.close()


def test_a_newer_database_is_refused(registry: Registry) -> None:
    with registry.writing() as session:
        session.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="version 9999, newer"):
        migrate(registry)


def test_a_database_that_was_never_migrated_says_so(tmp_path: Path) -> None:
    fresh = open_registry(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    with pytest.raises(DependencyUnavailableError, match="migrated"):
        claims.projects(fresh)
    fresh.close()


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    path.write_bytes(b"not a database" * 100)
    broken = open_registry(f"sqlite:///{path}")
    with pytest.raises(DependencyUnavailableError, match="not a database"):
        migrate(broken)
    broken.close()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no address of a registry"):
        open_registry(url)


def test_a_refused_address_does_not_show_its_password() -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_registry("mysql://me:verysecret@host/x")
    assert "verysecret" not in str(refused.value)


def test_writers_at_once_lose_nothing(registry: Registry) -> None:
    people.save_enterprise(registry, FACTORY)
    claims.save(registry, PROJECT, AT)
    with registry.writing() as session:
        session.execute(text("update retrofit_project set granted_before_cny = '0.00'"))

    def add_a_fen() -> None:
        for _ in range(10):
            with registry.writing() as session:
                query = text("select granted_before_cny from retrofit_project")
                value = Decimal(str(session.execute(query).scalar_one()))
                session.execute(
                    text("update retrofit_project set granted_before_cny = :value"),
                    {"value": str(value + Decimal("0.01"))},
                )

    threads = [threading.Thread(target=add_a_fen) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert claims.projects(registry)[0].granted_before_cny == Decimal("0.30")


def test_a_failed_writing_leaves_nothing(registry: Registry) -> None:
    people.save_enterprise(registry, FACTORY)
    claims.save(registry, PROJECT, AT)

    def half() -> Iterator[None]:
        with registry.writing() as session:
            session.execute(text("delete from retrofit_project"))
            yield
            raise RuntimeError

    with pytest.raises(RuntimeError):
        list(half())
    assert claims.projects(registry) == (PROJECT,)


def test_a_row_that_names_nothing_known_is_refused(registry: Registry) -> None:
    with pytest.raises(ConfigurationError, match="enter first"):
        claims.save(registry, LINE, AT)
    with registry.reading() as session:
        assert session.scalars(select(ClaimLineRow)).all() == []

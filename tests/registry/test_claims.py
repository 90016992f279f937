"""What goes in comes out, to the fen and to the instant."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import text

from kernel.errors import ConfigurationError
from registry import claims, people
from registry.database import Registry
from registry.models import ProjectRow
from tests.registry.samples import ACCEPTANCE, AT, FACTORY, LINE, LISTING, PROJECT


@pytest.fixture
def county(registry: Registry) -> Registry:
    """Know a factory and its project."""
    people.save_enterprise(registry, FACTORY)
    claims.save(registry, PROJECT, AT)
    return registry


def test_a_claim_comes_back_as_it_was_saved(county: Registry) -> None:
    claims.save(county, LINE, AT)
    claims.save(county, ACCEPTANCE, AT)
    claims.save(county, LISTING, AT)
    assert claims.projects(county) == (PROJECT,)
    assert claims.claim_lines(county) == (LINE,)
    assert claims.acceptances(county) == (ACCEPTANCE,)
    assert claims.listings(county) == (LISTING,)


def test_saving_again_replaces_and_never_doubles(county: Registry) -> None:
    later = replace(PROJECT, finished_on=date(2024, 6, 30))
    claims.save(county, later, AT + timedelta(days=1))
    claims.save(county, later, AT + timedelta(days=1))
    assert claims.projects(county) == (later,)
    with county.reading() as session:
        row = session.get_one(ProjectRow, PROJECT.project_id)
        assert row.updated_at == AT + timedelta(days=1)


def test_lines_come_in_the_order_of_their_numbers(county: Registry) -> None:
    for number in (10, 2, 1):
        claims.save(county, replace(LINE, line_no=number), AT)
    assert [line.line_no for line in claims.claim_lines(county)] == [1, 2, 10]


@pytest.mark.parametrize(
    "amount", ["0.01", "0.10", "4503599627370497.03", "9999999999999999.99", "-0.05", "3"]
)
def test_money_survives_to_the_fen(county: Registry, amount: str) -> None:
    claims.save(county, replace(LINE, net_cny=Decimal(amount)), AT)
    assert claims.claim_lines(county)[0].net_cny == Decimal(amount)
    with county.reading() as session:
        stored = session.execute(text("select net_cny, typeof(net_cny) from claim_line")).one()
        assert tuple(stored) == (format(Decimal(amount), ".2f"), "text")


@pytest.mark.parametrize("amount", ["0.001", "10000000000000000.00", "NaN", "Infinity"])
def test_what_is_no_amount_is_refused(county: Registry, amount: str) -> None:
    with pytest.raises(ConfigurationError, match="no amount"):
        claims.save(county, replace(LINE, net_cny=Decimal(amount)), AT)


def test_instants_are_kept_in_utc(county: Registry) -> None:
    shanghai = datetime(2024, 6, 2, 7, 30, tzinfo=timezone(timedelta(hours=8)))
    claims.save(county, PROJECT, shanghai)
    with county.reading() as session:
        stored = session.execute(text("select updated_at from retrofit_project")).scalar_one()
        assert stored == "2024-06-01 23:30:00.000000"
        row = session.get_one(ProjectRow, PROJECT.project_id)
        assert (row.updated_at, row.updated_at.tzinfo) == (shanghai, UTC)


def test_an_instant_without_a_zone_is_refused(county: Registry) -> None:
    with pytest.raises(ConfigurationError, match="no time zone"):
        claims.save(county, PROJECT, datetime(2024, 6, 1))  # noqa: DTZ001  # the mistake under test

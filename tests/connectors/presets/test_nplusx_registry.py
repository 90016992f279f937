"""The registry as a source: what its own code writes is what its contracts promise."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from connectors.base import Source
from connectors.kinds.sql import SqlSource
from connectors.registry import find, open_source
from contracts.decode import decode_arrow
from contracts.gate import judge
from contracts.loader import find as find_contract
from contracts.schema import batch_schema
from county import retrofit
from county.world import FACTORY, FACTORY_NAME, INDUSTRY, REGION
from kernel.ids import EnterpriseId, SourceId
from pipeline.bodies import encode
from registry import claims, database, people
from tests.connectors.reading import mapped

AT = datetime(2024, 8, 1, 4, 30, tzinfo=UTC)


def filled(url: str) -> str:
    """Enter the county's dossier the way the platform does."""
    registry = database.open_registry(url)
    database.migrate(registry)
    factory = people.EnterpriseKind.FACTORY
    people.save_enterprise(
        registry,
        people.Enterprise(EnterpriseId(FACTORY), FACTORY_NAME, factory, REGION, INDUSTRY, False),
    )
    told = retrofit.dossier()
    project = {name: getattr(told.project, name) for name in told.project.__dataclass_fields__}
    claims.save(registry, claims.Project(**project), AT)
    for line in told.lines:
        values = {name: getattr(line, name) for name in line.__dataclass_fields__}
        claims.save(registry, claims.ClaimLine(**values), AT)
    outcome = told.acceptance
    claims.save(
        registry,
        claims.Acceptance(
            outcome.project_id, outcome.accepted_on, outcome.outcome, outcome.reviewer
        ),
        AT,
    )
    for year in (2023, 2024):
        listing = claims.Listing(FACTORY, year, FACTORY_NAME, REGION, INDUSTRY, True)
        claims.save(registry, listing, AT)
    registry.close()
    return url


def test_every_row_of_the_dossier_passes_the_gate(tmp_path: Path) -> None:
    preset = find("nplusx_registry")
    # The registry keeps instants in UTC, without saying so on SQLite.
    source = Source(
        SourceId("registry"),
        preset.id,
        SqlSource(filled(f"sqlite:///{tmp_path / 'registry.sqlite'}")),
        zone="UTC",
    )
    connector = open_source(source)
    counts: dict[str, int] = {}
    for plan in preset.streams:
        contract = find_contract(plan.contract)
        rows = mapped(connector.read(plan, None), plan, source.zone)
        assert isinstance(rows, pa.Table)
        promised = {field.name: field.type for field in batch_schema(contract)}
        assert {f.name: f.type for f in rows.schema if f.name != "_op"}.items() <= (
            promised.items()
        )
        (body,) = encode(rows, plan.version)
        decoded = decode_arrow(body.body, contract)
        assert judge(decoded.rows, contract, decoded.faults).refused == {}
        counts[plan.contract] = decoded.rows.num_rows
        assert set(decoded.rows["updated_at"].to_pylist()) == {AT}
    connector.close()
    assert counts == {
        "retrofit.project.v1": 1,
        "retrofit.invoice_line.v1": 11,
        "retrofit.acceptance.v1": 1,
        "gov.enterprise.v1": 2,
    }
    assert retrofit.dossier().project.filed_on == date(2024, 1, 15)

"""What comes late comes to every product, and what becomes of it there is what the truth says."""

from pathlib import Path

import pytest

from connectors.base import Source
from connectors.kinds.files import FilesSource
from connectors.kinds.sql import SqlSource
from connectors.registry import find, open_source
from county import later
from county.faults import LATE, key_of
from county.generate import Asked, County, files_of, later_of, tables_of, write
from county.load import into_database
from county.sources import SHEETS
from county.truth import SEED
from county.world import Row
from kernel import canonical
from kernel.errors import ConfigurationError
from kernel.ids import SourceId
from tests.connectors.reading import read_all

pytestmark = pytest.mark.real_system
COUNTY = County(Asked(3, 4, SEED, {LATE: 2, **dict.fromkeys(later.DRIFTS, 1)}))
U8, K3, OFFICE = COUNTY.factories


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("county") / "out"
    list(write(COUNTY, made))
    return made


def require_late(rows: list[Row], again: list[Row], contract: str, late: set[str]) -> None:
    assert len(late) == 2
    assert not {key_of(contract, row) for row in rows} & late
    assert {key_of(contract, row) for row in again} == late


@pytest.mark.parametrize(("factory", "server"), [(U8, "postgres"), (K3, "mariadb")])
def test_late_rows_are_read_and_a_renamed_column_is_named(
    folder: Path, factory, server: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(server).fresh()
    into_database(url, tables_of(folder, factory))
    preset = find(factory.system)
    connector = open_source(Source(SourceId("s"), preset.id, SqlSource(url), memory=tmp_path))
    cursors, rows = {}, {}
    for plan in preset.streams:
        rows[plan.contract], cursors[plan.contract] = read_all(connector, plan)
    later.into_database(url, later_of(folder, factory))
    planted = COUNTY.make(factory).planted
    late = {each.key for each in planted if each.fault == LATE}
    (drifted,) = {each.contract for each in planted if each.fault in later.DRIFTS}
    (column,) = {each.key.partition(".")[2] for each in planted if each.fault in later.DRIFTS}
    for plan in preset.streams:
        if plan.contract == drifted:
            with pytest.raises(ConfigurationError, match=column):
                read_all(connector, plan, cursors[plan.contract])
        else:
            again, _ = read_all(connector, plan, cursors[plan.contract])
            if plan.contract == "erp.delivery.v1":
                require_late(rows[plan.contract], again, plan.contract, late)
            else:
                assert again == []
    connector.close()


@pytest.mark.parametrize(("factory", "server"), [(U8, "postgres"), (K3, "mariadb")])
def test_a_column_that_is_added_or_gets_another_type_changes_nothing(
    folder: Path, factory, server: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(server).fresh()
    into_database(url, tables_of(folder, factory))
    preset, path = find(factory.system), tmp_path / "acts.json"
    acts = canonical.loads((later_of(folder, factory) / path.name).read_bytes())
    path.write_bytes(canonical.dumps([act for act in acts if "rename" not in act]))
    connector = open_source(Source(SourceId("s"), preset.id, SqlSource(url), memory=tmp_path))
    before = [read_all(connector, plan)[0] for plan in preset.streams]
    later.into_database(url, tmp_path)
    assert [read_all(connector, plan)[0] for plan in preset.streams] == before
    connector.close()


def test_a_sheet_that_comes_late_is_read(folder: Path) -> None:
    place = files_of(folder, OFFICE) / SHEETS
    way = FilesSource(str(place), None, "", settle_seconds=0)
    connector = open_source(Source(SourceId("s"), SHEETS, way))
    plan = next(e for e in find(SHEETS).streams if e.contract == "erp.delivery.v1")
    rows, cursor = read_all(connector, plan)
    later.into_files(place, later_of(folder, OFFICE))
    again, _ = read_all(connector, plan, cursor)
    planted = COUNTY.make(OFFICE).planted
    require_late(rows, again, plan.contract, {e.key for e in planted if e.fault == LATE})
    connector.close()

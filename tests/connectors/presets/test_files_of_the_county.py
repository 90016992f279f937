"""Invoices, payments, ledger and offices' feeds as files: what lands is the county's truth."""

from pathlib import Path

import pyarrow as pa
import pytest

from connectors.base import Source
from connectors.kinds.files import FilesSource
from connectors.registry import find, open_source
from contracts.decode import decode_arrow
from contracts.gate import judge
from contracts.loader import find as find_contract
from county.generate import Asked, County, feeds_of, files_of, write
from county.shape import as_arrow
from county.truth import SEED
from county.world import Row
from kernel.ids import SourceId
from pipeline.bodies import encode
from tests.connectors.reading import mapped

COUNTY = County(Asked(2, 12, SEED, {}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("county") / "out"
    list(write(COUNTY, made))
    return made


def landed(preset: str, folder: Path) -> dict[str, pa.Table]:
    """Read a folder as an agent does; the gate must refuse nothing."""
    way = FilesSource(str(folder), None, "", settle_seconds=0)
    connector = open_source(Source(SourceId("s"), preset, way))
    found = {}
    for plan in find(preset).streams:
        contract, pages, cursor, more = find_contract(plan.contract), [], None, True
        while more:
            page = connector.read(plan, cursor)
            cursor, more = page.cursor, page.more
            if (rows := mapped(page, plan)) is None:
                continue
            for body in encode(rows, plan.version):
                decoded = decode_arrow(body.body, contract)
                assert judge(decoded.rows, contract, decoded.faults).refused == {}
                pages.append(decoded.rows)
        if pages:
            found[plan.contract] = pa.concat_tables(pages)
    connector.close()
    return found


def require_same(found: dict[str, pa.Table], told: dict[str, list[Row]]) -> None:
    for contract, rows in found.items():
        key = [(name, "ascending") for name in find_contract(contract).key]
        truth = as_arrow({contract: told[contract]})[contract].sort_by(key)
        assert rows.sort_by(key).select(truth.column_names).to_pylist() == truth.to_pylist()


def test_the_bookkeeper_s_sheets_and_the_invoices_are_the_truth(folder: Path) -> None:
    factory = COUNTY.factories[1]
    books = COUNTY.make(factory).books
    for preset in ("finance_sheets", "einvoice_xml"):
        require_same(landed(preset, files_of(folder, factory) / preset), dict(books))


def test_what_offices_report_is_the_truth(folder: Path) -> None:
    for factory in COUNTY.factories:
        told = COUNTY.make(factory).feeds
        found = landed("place_feeds", feeds_of(folder, factory.place.region))
        require_same(found, dict(told))
        assert set(found) == {name for name, rows in told.items() if rows}
    assert "gov.award.v1" not in found

"""A county from a seed: the same bytes, whole, with its truth apart, never mixed with another."""

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from contracts.gate import judge
from contracts.loader import find
from county.generate import SYSTEMS, Asked, County, make_county, write
from county.shape import as_arrow
from county.truth import SEED
from kernel import canonical
from kernel.errors import ConfigurationError
from tests.county.test_books import as_sent

FAULTS = {"bad_uscc": 1, "missing_day": 2}


@pytest.fixture(scope="module")
def county() -> County:
    return make_county(Asked(6, 3, SEED, FAULTS))


def digests(folder: Path) -> dict[str, str]:
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): canonical.digest(each.read_bytes()) for each in files}


def test_the_same_seed_gives_the_same_files(county: County, tmp_path: Path) -> None:
    rows = dict(write(county, tmp_path / "one"))
    assert dict(write(make_county(Asked(6, 3, SEED, FAULTS)), tmp_path / "two")) == rows
    one = digests(tmp_path / "one")
    assert one == digests(tmp_path / "two")
    assert len(rows) == 6
    for _ in write(make_county(Asked(6, 3, SEED + 1, FAULTS)), tmp_path / "three"):
        continue
    other = digests(tmp_path / "three")
    assert one.keys() == other.keys()
    changed = {name for name in one if one[name] != other[name]}
    assert {f"truth/{n:03d}/erp.sales_order.v1.parquet" for n in range(1, 7)} <= changed


def test_the_truth_names_what_was_planted_and_holds_all_rows(
    county: County, tmp_path: Path
) -> None:
    list(write(county, tmp_path / "out"))
    for factory, books in county.held.items():
        truth = tmp_path / "out" / "truth" / f"{factory.number:03d}"
        told = canonical.loads((truth / "planted.json").read_bytes())
        assert Counter(each["fault"] for each in told)["missing_day"] == 2
        for contract, rows in books.items():
            assert pq.read_metadata(truth / f"{contract}.parquet").num_rows == len(rows)


def test_factories_use_every_product_and_places_know_all_of_them(county: County) -> None:
    assert {each.system for each in county.held} == set(SYSTEMS)
    listed = {
        row["enterprise_uscc"]
        for feeds in county.feeds.values()
        for row in feeds["gov.enterprise.v1"]
    }
    assert listed == {each.uscc for each in county.held}
    assert len(county.feeds) == 5


def test_what_places_report_is_as_promised_and_as_in_the_books(county: County) -> None:
    for feeds in county.feeds.values():
        for name, rows in as_arrow(feeds).items():
            assert judge(as_sent(rows), find(name), {}).refused == {}, name
    for factory, books in county.held.items():
        tax = county.feeds[factory.place.region]["gov.tax.v1"]
        mine = sum(r["vat_sales_cny"] for r in tax if r["enterprise_uscc"] == factory.uscc)
        assert mine == sum(each["net_amount"] for each in books["erp.sales_invoice.v1"])


@pytest.mark.parametrize(("count", "months"), [(0, 2), (1000, 2), (1, 1), (1, 61)])
def test_a_county_of_no_size_is_refused(count: int, months: int) -> None:
    with pytest.raises(ConfigurationError, match="not to be had"):
        make_county(Asked(count, months, SEED, {}))


def test_a_county_is_not_written_over_another(county: County, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="already"):
        next(write(county, tmp_path))

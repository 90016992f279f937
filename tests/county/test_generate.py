"""A county from a seed: the same bytes, whole, with its truth apart, never mixed with another."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from contracts.gate import judge
from contracts.loader import find
from county import sources
from county.generate import Asked, County, Held, feeds_of, write
from county.shape import as_arrow
from county.truth import SEED
from county.world import PLACES, Factory
from county.wrong import NAMES
from kernel import canonical
from kernel.errors import ConfigurationError
from registry.claims import read_dossier
from tests.county.test_books import as_sent

FAULTS = dict.fromkeys(NAMES, 1) | {"missing_day": 2}
ASKED = Asked(7, 3, SEED, FAULTS)


@pytest.fixture(scope="module")
def made() -> dict[Factory, Held]:
    county = County(ASKED)
    return {each: county.make(each) for each in county.factories}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("county") / "out"
    list(write(County(ASKED), folder))
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): canonical.digest(each.read_bytes()) for each in files}


def test_the_same_seed_gives_the_same_files_in_any_process(out: Path, tmp_path: Path) -> None:
    words = f"--factories 7 --months 3 --seed {SEED} --out {tmp_path / 'two'} --faults".split()
    asked = ",".join(f"{name}={times}" for name, times in FAULTS.items())
    subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "county", "generate", *words, asked],
        env={**os.environ, "PYTHONHASHSEED": "7"}, check=True, capture_output=True,
    )  # fmt: skip
    assert digests(out) == digests(tmp_path / "two")


def test_another_seed_gives_other_books(out: Path, tmp_path: Path) -> None:
    list(write(County(Asked(2, 3, SEED + 1, FAULTS)), tmp_path / "three"))
    one, other = digests(out), digests(tmp_path / "three")
    same = {name for name in one if one[name] == other.get(name)}
    assert not {f"truth/{n:03d}/erp.sales_order.v1.parquet" for n in (1, 2)} & same


def test_the_factories_of_a_smaller_county_are_the_first_of_a_larger(
    out: Path, tmp_path: Path
) -> None:
    list(write(County(Asked(2, 3, SEED, FAULTS)), tmp_path / "small"))
    small, large = digests(tmp_path / "small"), digests(out)
    mine = {name for name in small if name.startswith(("factories", "truth", "claims"))}
    assert len(mine) > 50
    assert {name: large[name] for name in mine} == {name: small[name] for name in mine}


def test_the_truth_names_what_was_planted_and_holds_all_rows(
    made: dict[Factory, Held], out: Path
) -> None:
    named = Counter[str]()
    for factory, held in made.items():
        truth = out / "truth" / f"{factory.number:03d}"
        told = canonical.loads((truth / "planted.json").read_bytes())
        named += Counter(each["fault"] for each in told)
        for contract, rows in held.books.items():
            assert pq.read_metadata(truth / f"{contract}.parquet").num_rows == len(rows)
    assert set(named) == set(FAULTS)


def test_factories_use_every_product_and_places_know_all_of_them(
    made: dict[Factory, Held], out: Path
) -> None:
    assert {each.system for each in made} == set(sources.SYSTEMS)
    for factory, held in made.items():
        listed = {row["enterprise_uscc"] for row in held.feeds["gov.enterprise.v1"]}
        assert listed == {factory.uscc}
    assert len({each.place.region for each in made}) == 5
    for place in PLACES:
        kinds = {each.stem for each in feeds_of(out, place.region).glob("gov.*.csv")}
        assert kinds >= {
            f"gov.{each}.v1" for each in ("enterprise", "tax", "statistics", "energy", "award")
        }
    awards = [row for held in made.values() for row in held.feeds["gov.award.v1"]]
    assert [row["clause_id"] for row in awards] == ["S0-C16", "S0-C16"]


def test_what_places_report_is_as_promised_and_as_in_the_books(
    made: dict[Factory, Held],
) -> None:
    for held in made.values():
        for name, rows in as_arrow(held.feeds).items():
            assert judge(as_sent(rows), find(name), {}).refused == {}, name
        tax = sum(r["vat_sales_cny"] for r in held.feeds["gov.tax.v1"])
        assert tax == sum(each["net_amount"] for each in held.books["erp.sales_invoice.v1"])


def test_what_is_filed_is_what_the_registry_takes(made: dict[Factory, Held], out: Path) -> None:
    for factory, held in made.items():
        filed = read_dossier(out / "claims" / f"{factory.number:03d}.yaml")
        lines = [line for each in held.filed.dossiers for line in each.lines]
        assert [asdict(each) for each in filed.claim_lines] == [asdict(each) for each in lines]
        assert len(filed.projects) == len(filed.acceptances) == len(held.filed.truths)
        agreed = held.feeds["retrofit.retrofit_contract.v1"]
        bought = {(each.project_id, each.seller_uscc) for each in lines}
        assert {(each["project_id"], each["contractor_uscc"]) for each in agreed} == bought


@pytest.mark.parametrize(("count", "months"), [(0, 2), (1000, 2), (1, 1), (1, 61)])
def test_a_county_of_no_size_is_refused(count: int, months: int) -> None:
    with pytest.raises(ConfigurationError, match="not to be had"):
        County(Asked(count, months, SEED, {}))


def test_a_county_is_not_written_over_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="already"):
        next(write(County(ASKED), tmp_path))


def test_a_write_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    writing = write(County(ASKED), tmp_path / "out")
    next(writing)
    assert (tmp_path / "out.new" / "claims" / "001.yaml").is_file()
    writing.close()
    assert list(tmp_path.iterdir()) == []

"""A whole county from a seed: factories in their products, feeds of the places, the truth apart."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from county import faults, government, shape, sheets
from county.books import Books, make_books
from county.faults import Planted
from county.world import Factory, Row, factories, period
from kernel import canonical
from kernel.errors import ConfigurationError

# In which products factories keep their books, and how their machines talk, in turns.
SYSTEMS = ("yonyou_u8", "kingdee_k3cloud_db", "office_sheets", "shopfloor_mes")
WIRES = ("", "opcua", "sparkplug", "modbus", "")
# Books that are files anyway.
SHEETS = "office_sheets"
MOST_FACTORIES, MOST_MONTHS = 999, 60
# What is ordered in a month is promised in the next.
_LEAST_MONTHS = 2
_LIST = "county.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a county is made from: the same gives the same bytes."""

    factories: int
    months: int
    seed: int
    faults: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class County:
    """What there is, and what is wrong in it."""

    asked: Asked
    held: Mapping[Factory, Books]
    planted: Mapping[Factory, tuple[Planted, ...]]
    # By region and contract.
    feeds: Mapping[str, Mapping[str, list[Row]]]


def make_county(asked: Asked) -> County:
    """Make factories, plant faults in each, and let the places report of what is right."""
    count, months, seed = asked.factories, asked.months, asked.seed
    if not (1 <= count <= MOST_FACTORIES and _LEAST_MONTHS <= months <= MOST_MONTHS):
        raise ConfigurationError(
            f"A county of {count} factories over {months} months is not to be had.",
            where="nplusx county generate",
            cure=f"ask for 1 to {MOST_FACTORIES} factories and {_LEAST_MONTHS} to {MOST_MONTHS}"
            " months.",
        )
    within = period(months)
    held = {each: make_books(each, within, seed) for each in factories(count, SYSTEMS, WIRES)}
    feeds = government.make_feeds(held, within, seed)
    planted = {each: faults.plant(books, each, asked.faults, seed) for each, books in held.items()}
    return County(asked, held, planted, feeds)


def write(county: County, folder: Path) -> Iterator[tuple[Factory, int]]:
    """Write a county into a new folder, factory by factory; give the rows of each."""
    if folder.exists():
        raise ConfigurationError(
            "There is something already.",
            where=str(folder),
            cure="name a folder that does not exist yet; a county is never mixed with another.",
        )
    # Whole or not at all: another name until it is complete.
    draft = folder.with_name(folder.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for factory, books in county.held.items():
        rows = shape.as_arrow(books)
        _write_factory(draft / "factories" / f"{factory.number:03d}", factory, rows)
        truth = draft / "truth" / f"{factory.number:03d}"
        for contract, table in rows.items():
            _parquet(truth / f"{contract}.parquet", table)
        _json(truth / "planted.json", [asdict(each) for each in county.planted[factory]])
        yield factory, sum(each.num_rows for each in rows.values())
    for region, feeds in county.feeds.items():
        for contract, table in shape.as_arrow(feeds).items():
            path = draft / "government" / region / f"{contract}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            pa.csv.write_csv(table, path)
    listed = [asdict(each) for each in county.held]
    _json(draft / _LIST, {"asked": asdict(county.asked), "factories": listed})
    draft.rename(folder)


def is_written(county: County, folder: Path) -> bool:
    """Tell whether this very county stands in a folder already."""
    try:
        told = canonical.loads((folder / _LIST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("asked") == asdict(county.asked)


def _write_factory(folder: Path, factory: Factory, rows: Mapping[str, pa.Table]) -> None:
    columns = {}
    for table in shape.tables(factory, rows):
        if factory.system == SHEETS:
            sheets.write_sheet(folder / SHEETS, table)
            continue
        _parquet(folder / factory.system / f"{table.name}.parquet", table.rows)
        columns[table.name] = table.columns
    if columns:
        _json(folder / factory.system / "tables.json", columns)


def _parquet(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(table, path, compression="zstd")


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(canonical.dumps(value) + b"\n")

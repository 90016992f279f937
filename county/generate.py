"""A whole county from a seed: factories in their products, feeds of the places, the truth apart."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from county import (
    claims,
    faults,
    government,
    invoices,
    later,
    shape,
    sheets,
    sources,
    truth,
    tryton,
)
from county.books import Books, make_books
from county.catalogue import make_catalogue
from county.claims import Filed
from county.dice import Dice
from county.faults import Planted
from county.world import Factory, Row, factories, period
from county.wrong import of_factory
from kernel import canonical, yaml
from kernel.errors import ConfigurationError

MOST_FACTORIES, MOST_MONTHS = 999, 60
# What is ordered in a month is promised in the next.
_LEAST_MONTHS = 2
_LIST, _TABLES = "county.json", "tables.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a county is made from: the same gives the same bytes."""

    factories: int
    months: int
    seed: int
    faults: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Held:
    """All of one factory: its books, what is wrong in them, its retrofit, what its place knows."""

    books: Books
    planted: tuple[Planted, ...]
    filed: Filed
    feeds: Mapping[str, list[Row]]


@dataclass(frozen=True)
class County:
    """A county; its factories are made one by one, for all of them at once are too many."""

    asked: Asked

    def __post_init__(self) -> None:
        count, months = self.asked.factories, self.asked.months
        if not (1 <= count <= MOST_FACTORIES and _LEAST_MONTHS <= months <= MOST_MONTHS):
            raise ConfigurationError(
                f"A county of {count} factories over {months} months is not to be had.",
                where="nplusx county generate",
                cure=f"ask for 1 to {MOST_FACTORIES} factories and {_LEAST_MONTHS} to {MOST_MONTHS}"
                " months.",
            )

    @cached_property
    def factories(self) -> tuple[Factory, ...]:
        """List the factories."""
        return factories(self.asked.factories, sources.SYSTEMS, sources.WIRES)

    def make(self, factory: Factory) -> Held:
        """Make one, let its place report of what is right, and plant its faults."""
        asked, within = self.asked, period(self.asked.months)
        wrong = of_factory(asked.faults, factory, self.factories, asked.seed)
        filed = _filed(factory, wrong, asked.seed)
        books = make_books(factory, within, asked.seed, filed.purchases)
        sources.as_told(factory, books)
        feeds = government.make_feeds(factory, books, within, asked.seed)
        feeds["retrofit.retrofit_contract.v1"] = claims.contracts_of(filed)
        planted = faults.plant(books, factory, wrong, asked.seed, sources.plantable(factory))
        if factory.system == sources.TRYTON:
            planted = tryton.follow(books, planted)
        drifted = later.drifts(factory, wrong)
        return Held(books, (*planted, *drifted, *_in_claims(filed)), filed, feeds)


def _filed(factory: Factory, wrong: Mapping[str, int], seed: int) -> Filed:
    if factory.number == 1:
        # The story's own: what is wrong in it is told line by line.
        return truth.STORY
    catalogue = make_catalogue(factory, Dice(seed, f"{factory.number}/catalogue"))
    return claims.make_filed(factory, catalogue, wrong, Dice(seed, f"{factory.number}/retrofit"))


def _in_claims(filed: Filed) -> Iterator[Planted]:
    for claim in filed.truths:
        for line in claim.lines:
            if line.fault:
                key = f"{claim.claim_id}/{line.line_no}"
                answer = f"{line.outcome} {line.rule}".rstrip()
                yield Planted(line.fault, "retrofit.invoice_line.v1", key, answer=answer)


def write(county: County, folder: Path) -> Iterator[tuple[Factory, int, int]]:
    """Write a county into a new folder, factory by factory; give rows and faults of each."""
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
    try:
        for factory in county.factories:
            held = county.make(factory)
            rows = shape.as_arrow(held.books)
            _write_factory(draft, factory, held, rows)
            _write_truth(draft / "truth" / f"{factory.number:03d}", held, rows)
            _write_claims(draft / "claims" / f"{factory.number:03d}.yaml", held.filed)
            _append_feeds(feeds_of(draft, factory.place.region), held.feeds)
            yield factory, sum(each.num_rows for each in rows.values()), len(held.planted)
        listed = [asdict(each) for each in county.factories]
        _json(draft / _LIST, {"asked": asdict(county.asked), "factories": listed})
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def is_written(county: County, folder: Path) -> bool:
    """Tell whether this very county stands in a folder already."""
    try:
        told = canonical.loads((folder / _LIST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("asked") == asdict(county.asked)


def files_of(folder: Path, factory: Factory) -> Path:
    """Name the folder of what a factory has as files: one for each that writes some."""
    return folder / "factories" / f"{factory.number:03d}" / "files"


def later_of(folder: Path, factory: Factory) -> Path:
    """Name the folder of what happens to a factory's product when it has been read."""
    return folder / "factories" / f"{factory.number:03d}" / "later"


def feeds_of(folder: Path, region: str) -> Path:
    """Name the folder of what a place's offices report."""
    return folder / "government" / region


def truth_of(folder: Path, factory: Factory, contract: str) -> list[Row]:
    """Read what a factory's books say of a contract."""
    path = folder / "truth" / f"{factory.number:03d}" / f"{contract}.parquet"
    rows: list[Row] = pa.parquet.read_table(path).to_pylist()
    return rows


def tables_of(folder: Path, factory: Factory) -> Iterator[shape.Table]:
    """Read the tables of a factory's product as they were written."""
    place = folder / "factories" / f"{factory.number:03d}" / factory.system
    listed = canonical.loads((place / _TABLES).read_bytes())
    for name, columns in listed.items() if isinstance(listed, dict) else ():
        yield shape.Table(name, str(columns), pa.parquet.read_table(place / f"{name}.parquet"))


def _write_factory(draft: Path, factory: Factory, held: Held, rows: Mapping[str, pa.Table]) -> None:
    files, columns = files_of(draft, factory), {}
    product = files.with_name(factory.system)
    whole, rows = rows, later.early(rows, held.planted)
    later.write(later_of(draft, factory), factory, held.planted, whole, rows)
    for system in sources.systems(factory):
        if system == sources.EINVOICES:
            invoices.write(held.books[invoices.CONTRACT], files / system)
            continue
        for table in shape.tables(factory, system, rows):
            if system in sources.FILES:
                sheets.write_sheet(files / system, table)
                continue
            _parquet(product / f"{table.name}.parquet", table.rows)
            columns[table.name] = table.columns
    if columns:
        _json(product / _TABLES, columns)


def _write_truth(folder: Path, held: Held, rows: Mapping[str, pa.Table]) -> None:
    for contract, table in rows.items():
        _parquet(folder / f"{contract}.parquet", table)
    _json(folder / "planted.json", [asdict(each) for each in held.planted])
    _json(folder / "claims.json", [asdict(each) for each in held.filed.truths])


def _write_claims(path: Path, filed: Filed) -> None:
    """Write what a factory filed as the registry reads it; the offices' feed has the list."""
    entered = {
        "projects": [asdict(each.project) for each in filed.dossiers],
        "claim_lines": [asdict(line) for each in filed.dossiers for line in each.lines],
        "acceptances": [asdict(each.acceptance) for each in filed.dossiers],
    }
    plain = {
        name: [{key: _plain(value) for key, value in row.items()} for row in rows]
        for name, rows in entered.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump(plain), "utf-8")


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Decimal | date) else value


def _append_feeds(folder: Path, feeds: Mapping[str, list[Row]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for contract, table in shape.as_arrow(feeds).items():
        path = folder / f"{contract}.csv"
        options = pa.csv.WriteOptions(include_header=not path.exists())
        with path.open("ab") as file:
            pa.csv.write_csv(table, file, options)


def _parquet(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(table, path, compression="zstd")


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(canonical.dumps(value) + b"\n")

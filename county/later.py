"""What happens to a system that has been read already: rows come late, columns change."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.loader import find
from county import load, shape, sheets
from county.faults import LATE, Planted
from county.world import Factory
from kernel import canonical

_ACTS = "acts.json"
Rows = Mapping[str, pa.Table]
# A column of each product whose administrator may change it, and what is read there.
_COLUMNS = {
    "yonyou_u8": ("SO_SODetails", "iQuantity"),
    "kingdee_k3cloud_db": ("T_STK_INSTOCKENTRY", "FREALQTY"),
}
_CONTRACTS = {"yonyou_u8": "erp.sales_order_line.v1", "kingdee_k3cloud_db": "srm.delivery.v1"}
_RETYPE = {
    "yonyou_u8": "alter {column} type varchar(64)",
    "kingdee_k3cloud_db": "modify {column} varchar(64)",
}
# Fault, how the table is altered, and what becomes of what is read there.
DRIFTS = {
    "column_added": ("add {new} varchar(20)", "lands as before"),
    "column_retyped": ("", "lands as before"),
    "column_renamed": ("rename column {column} to {new}", "stops, and the column is named"),
}


def can_change(factory: Factory) -> bool:
    """Tell whether a factory's product has a column that may change."""
    return factory.system in _COLUMNS


def drifts(factory: Factory, faults: Collection[str]) -> Iterator[Planted]:
    """Tell which columns of a factory change, once each, where its product lets them."""
    if can_change(factory):
        table, column = _COLUMNS[factory.system]
        for name, (_, answer) in DRIFTS.items():
            if name in faults:
                contract = _CONTRACTS[factory.system]
                yield Planted(name, contract, f"{table}.{column}", answer=answer)


def early(rows: Rows, planted: Collection[Planted]) -> Rows:
    """Give rows without those that come late."""
    late = {(each.contract, each.key) for each in planted if each.fault == LATE}
    return {
        contract: _without(contract, table, {key for of, key in late if of == contract})
        for contract, table in rows.items()
    }


def _without(contract: str, table: pa.Table, keys: set[str]) -> pa.Table:
    if not keys:
        return table
    columns = (table[name].to_pylist() for name in find(contract).key)
    names = ["/".join(map(str, row)) for row in zip(*columns, strict=True)]
    return table.filter(pa.array([name not in keys for name in names]))


def write(
    folder: Path, factory: Factory, planted: Collection[Planted], whole: Rows, written: Rows
) -> None:
    """Write what comes later into a folder, if there is anything."""
    if any(each.fault == LATE for each in planted):
        before = {each.name: each for each in shape.tables(factory, factory.system, written)}
        for table in shape.tables(factory, factory.system, whole):
            rows = _new(table.rows, before[table.name].rows)
            if rows.num_rows:
                folder.mkdir(parents=True, exist_ok=True)
                pq.write_table(rows, folder / f"{table.name}.parquet", compression="zstd")
    acts = [_act(factory, each) for each in planted if each.fault in DRIFTS]
    if acts:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _ACTS).write_bytes(canonical.dumps(acts))


def _new(rows: pa.Table, before: pa.Table) -> pa.Table:
    """Give the rows that were not there before; the first column is the key."""
    key = rows.column_names[0]
    return rows.filter(pc.invert(pc.is_in(rows[key], before[key].combine_chunks())))


def _act(factory: Factory, each: Planted) -> str:
    table, _, column = each.key.partition(".")
    how = DRIFTS[each.fault][0] or _RETYPE[factory.system]
    quote = '"' if factory.system == "yonyou_u8" else "`"
    names = {"column": f"{quote}{column}{quote}", "new": f"{quote}{column}_{each.fault}{quote}"}
    return f"alter table {quote}{table}{quote} {how.format(**names)}"


def tables(folder: Path) -> Iterator[shape.Table]:
    """Read the rows that come later, by table."""
    for path in sorted(folder.glob("*.parquet")):
        yield shape.Table(path.stem, "", pq.read_table(path))


def into_database(url: str, folder: Path) -> None:
    """Do to a database what comes later."""
    for each in tables(folder):
        load.append(url, each.name, each.rows)
    if (folder / _ACTS).exists():
        acts = canonical.loads((folder / _ACTS).read_bytes())
        load.run(url, [str(each) for each in acts] if isinstance(acts, list) else [])


def into_files(files: Path, folder: Path) -> None:
    """Drop what comes later beside the sheets that were there."""
    for each in tables(folder):
        sheets.write_sheet(files, each, "-补")

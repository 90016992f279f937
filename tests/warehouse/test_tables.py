"""SQL tables: complete headers, true reads, SQL for two engines, and their cases."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from contracts.loader import all_contracts
from contracts.schema import landing_schema
from kernel import yaml
from kernel.ids import ContractId
from warehouse.engines.duck import DuckEngine
from warehouse.tables import (
    SqlTable,
    core_tables,
    mart_tables,
    metric_tables,
    needed_for,
)

HERE = Path(__file__).parent
ALL = {table.name: table for table in (*core_tables(), *mart_tables(), *metric_tables())}
WRITTEN = {table.name: table for table in (*mart_tables(), *metric_tables())}
CASES = sorted(path.parent for path in HERE.rglob("input.yaml"))


@pytest.mark.parametrize("table", ALL.values(), ids=lambda each: each.name)
def test_a_header_is_complete_and_reads_what_it_says(table: SqlTable) -> None:
    assert table.title.zh
    assert table.title.en
    assert table.grain
    assert table.keys
    read = sqlglot.parse_one(table.query, read="duckdb")
    inner = {cte.alias for cte in read.find_all(exp.CTE)}
    assert {each.name for each in read.find_all(exp.Table)} - inner == set(table.reads)
    if table.name.startswith("metric__"):
        assert all(
            (table.unit, table.metric_class, table.formula, table.reference, table.subject_kind)
        )


@pytest.mark.parametrize("table", ALL.values(), ids=lambda each: each.name)
def test_the_sql_is_also_sparks(table: SqlTable) -> None:
    sqlglot.transpile(
        table.query, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE
    )


@pytest.mark.parametrize("name", WRITTEN)
def test_every_written_table_has_a_case(name: str) -> None:
    layer, identity = name.split("__")
    folder = HERE / {"mart": "mart", "metric": "metrics"}[layer] / identity
    assert list(folder.glob("*/input.yaml")), f"add {folder.relative_to(HERE.parent)}/<case>/"


@pytest.mark.parametrize("name", ALL)
def test_a_query_runs_on_empty_tables_and_its_keys_are_columns(name: str) -> None:
    made = _compute({}, ALL[name])
    assert made.num_rows == 0
    assert set(ALL[name].keys) <= set(made.column_names)


def test_only_what_a_table_rests_on_is_computed_for_it() -> None:
    found = [each.name for each in needed_for(["mart__claim_listing"], ALL.values())]
    assert found[-1] == "mart__claim_listing"
    assert "core__gov_enterprise" in found
    assert "core__mes_work_order" not in found
    assert {name for each in found for name in ALL[each].reads if name in ALL} <= set(found)


def _compute(given: dict[str, list[dict[str, object]]], wanted: SqlTable) -> pa.Table:
    """Compute a table from given ones; what is not given comes from empty landing."""
    tables: dict[str, pa.Table] = {
        each.table: landing_schema(each).empty_table() for each in all_contracts().values()
    }
    engine = DuckEngine()
    for table in needed_for([wanted.name, *given], ALL.values()):
        made = engine.run(table.query, {name: tables[name] for name in table.reads})
        tables[table.name] = (
            _filled(made.schema, given[table.name]) if table.name in given else made
        )
    return tables[wanted.name]


def _filled(schema: pa.Schema, rows: list[dict[str, object]]) -> pa.Table:
    unknown = {name for row in rows for name in row} - set(schema.names)
    assert not unknown, f"the case names columns that are not there: {unknown}"
    columns = []
    for field in schema:
        texts = [None if row.get(field.name) is None else _text(row[field.name]) for row in rows]
        columns.append(pa.array(texts, pa.string()).cast(field.type))
    return pa.table(columns, schema=schema)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("case", CASES, ids=lambda path: str(path.relative_to(HERE)))
def test_a_case(case: Path) -> None:
    given = yaml.load_mapping(case / "input.yaml")
    says = given.pop("says")
    layer = {"mart": "mart", "metrics": "metric"}[case.parent.parent.name]
    made = _compute(given, ALL[f"{layer}__{case.parent.name}"])
    expected = yaml.load(case / "expect.yaml")
    assert isinstance(expected, list)
    names = list(expected[0]) if expected else []
    found = [{name: _plain(row[name]) for name in names} for row in made.to_pylist()]
    wanted = [{name: _plain(row[name]) for name in names} for row in expected]
    assert made.num_rows == len(expected), says
    assert sorted(map(str, found)) == sorted(map(str, wanted)), says


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and value.replace(".", "", 1).lstrip("-").isdigit():
        return format(Decimal(value).normalize(), "f")
    return str(value)


ORDERS = {
    "the source's version before all": [("e1", 2, 10, "2024-06-01"), ("e1", 1, 20, "2024-06-02")],
    "the number within an epoch, whatever the broker's clock": [
        ("e1", 1, 20, "2024-06-01"),
        ("e1", 2, 10, "2024-06-01"),
    ],
    "the broker's clock between epochs, whatever the number": [
        ("e9", 9, 10, "2024-06-01"),
        ("e1", 1, 20, "2024-06-01"),
    ],
    "the first record of an epoch places it": [
        ("e9", 9, 30, "2024-06-01"),
        ("e9", 8, 10, "2024-06-01"),
        ("e1", 1, 20, "2024-06-01"),
    ],
}


@pytest.mark.parametrize("case", ORDERS)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_newest_version_of_an_object_counts(case: str, *, backwards: bool) -> None:
    contract = all_contracts()[ContractId("erp.payment.v1")]
    rows = [
        {
            "payment_id": "P1",
            "bank_reference": str(place),
            "updated_at": f"{updated}T00:00:00Z",
            "_op": "upsert",
            "_stream": "s",
            "_epoch": epoch,
            "_sequence": sequence,
            "_broker_at": f"2024-07-01T00:00:{second}Z",
            "_offset": place,
        }
        for place, (epoch, sequence, second, updated) in enumerate(ORDERS[case])
    ]
    given = {contract.table: rows[::-1] if backwards else rows}
    landed = _filled(landing_schema(contract), given[contract.table])
    (table,) = (each for each in core_tables() if each.name == "core__erp_payment")
    found = DuckEngine().run(table.query, {contract.table: landed}).to_pylist()
    assert [row["bank_reference"] for row in found] == [str(len(rows) - 1)]


def test_a_delete_is_not_older_than_what_it_deletes() -> None:
    """A source's clock may run ahead of the broker's, and a delete need bear no version."""
    contract = all_contracts()[ContractId("erp.payment.v1")]
    common = {"payment_id": "P1", "_stream": "s", "_epoch": "e1"}
    rows = [
        {**common, "_op": "upsert", "_sequence": 1, "_broker_at": "2024-07-01T00:00:00Z",
         "updated_at": "2024-07-01T00:05:00Z", "_offset": 0},
        {**common, "_op": "delete", "_sequence": 2, "_broker_at": "2024-07-01T00:00:01Z",
         "_offset": 1},
    ]  # fmt: skip
    landed = _filled(landing_schema(contract), rows)
    (table,) = (each for each in core_tables() if each.name == "core__erp_payment")
    assert DuckEngine().run(table.query, {contract.table: landed}).num_rows == 0

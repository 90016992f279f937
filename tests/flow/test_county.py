"""A whole county: what landed of each factory is what its truth says, row by row."""

import json
from collections.abc import Iterator
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from connectors.registry import find
from contracts import loader
from county.reach import OFFICES, Reach
from pipeline import wiring
from pipeline.assess import decisions
from tests.flow.stage import Demo
from warehouse import attempts, quarantine

pytestmark = [pytest.mark.kafka, pytest.mark.airflow, pytest.mark.real_system]
FACTORIES = 6
STATES, READINGS = "mes.equipment_state.v1", "mes.energy_reading.v1"


@pytest.fixture(scope="module")
def county() -> Iterator[Demo]:
    """Play the demo with as many as it takes for every kind of system, and stop it."""
    made = Demo(more={"NPLUSX_DEMO_FACTORIES": str(FACTORIES)})
    try:
        made.start("--exit")
        assert made.process is not None
        assert made.process.wait(timeout=900) == 0, made.said()
        yield made
    finally:
        made.clear()


@pytest.fixture(scope="module")
def reached(county: Demo) -> tuple[Reach, ...]:
    told = (county.state / "county" / "sources.json").read_bytes()
    return TypeAdapter(tuple[Reach, ...]).validate_json(told)


def landed(county: Demo, contract: str, uscc: str) -> pa.Table:
    """Give the newest row of each key of an enterprise."""
    found = loader.find(contract)
    rows = wiring.store(county.settings()).open(found.table).dataset().to_table()
    mine = rows.filter(pc.equal(rows["_enterprise"], uscc))
    newest = mine.sort_by([(name, "ascending") for name in (*found.key, "updated_at")]).to_pylist()
    kept = {tuple(row[name] for name in found.key): row for row in newest}
    return pa.Table.from_pylist(list(kept.values()), mine.schema)


def truth_of(county: Demo, each: Reach, contract: str) -> pa.Table:
    folder = county.state / "county" / "truth" / f"{each.factory:03d}"
    key = [(name, "ascending") for name in loader.find(contract).key]
    return pq.read_table(folder / f"{contract}.parquet").sort_by(key)


def planted(county: Demo, each: Reach) -> set[tuple[str, str, str]]:
    """Give what must be refused: contract, key, reason."""
    folder = county.state / "county" / "truth" / f"{each.factory:03d}"
    told = json.loads((folder / "planted.json").read_text("utf-8"))
    return {(p["contract"], p["key"], p["reason"]) for p in told if p["reason"]}


def names(rows: pa.Table, contract: str) -> list[str]:
    keys = (rows[name].to_pylist() for name in loader.find(contract).key)
    return ["/".join(map(str, key)) for key in zip(*keys, strict=True)]


def test_every_kind_of_system_is_there(reached: tuple[Reach, ...]) -> None:
    kinds = {find(str(each.source["preset"])).kind for each in reached}
    assert kinds == {"sql", "files", "opcua", "sparkplug", "modbus", "cdc", "odata", "rest"}
    assert len({each.uscc for each in reached if each.factory != OFFICES}) == FACTORIES


def test_what_landed_is_the_truth_row_by_row(county: Demo, reached: tuple[Reach, ...]) -> None:
    compared = 0
    # What machines and offices tell has tests of its own.
    for each in (e for e in reached if not e.rows):
        bad = planted(county, each)
        for plan in find(str(each.source["preset"])).streams:
            told = truth_of(county, each, plan.contract)
            refused = {key for contract, key, _ in bad if contract == plan.contract}
            right = [name not in refused for name in names(told, plan.contract)]
            told, found = told.filter(pa.array(right)), landed(county, plan.contract, each.uscc)
            assert names(found, plan.contract) == names(told, plan.contract)
            for name in told.column_names:
                # What a product does not hold is empty in every row; the truth may know it.
                if found[name].null_count < found.num_rows:
                    assert found[name].to_pylist() == told[name].to_pylist(), (each, name)
                    compared += 1
    assert compared > 100


def test_what_is_refused_is_what_was_planted(county: Demo, reached: tuple[Reach, ...]) -> None:
    store = wiring.store(county.settings())
    refused = attempts.quarantined(store, quarantine.SCHEMA).to_pylist()
    found = {
        (
            row["enterprise"],
            row["contract"],
            "/".join(map(str, json.loads(row["business_key"]).values())),
            code,
        )
        for row in refused
        for code in row["reasons"]
    }
    wanted = set()
    for each in reached:
        served = {plan.contract for plan in find(str(each.source["preset"])).streams}
        if each.factory != OFFICES:
            wanted |= {(each.uscc, *p) for p in planted(county, each) if p[0] in served}
    assert found == wanted


def test_every_claim_is_decided_as_its_truth_says(county: Demo) -> None:
    told = {}
    for path in (county.state / "county" / "truth").glob("*/claims.json"):
        told |= {each["claim_id"]: each for each in json.loads(path.read_text("utf-8"))}
    found = {str(row["claim_id"]): row for row in decisions(wiring.store(county.settings()))}
    assert found.keys() == told.keys()
    for name, truth in told.items():
        assert str(found[name]["amount_cny"]) == truth["award_cny"], name
        lines = json.loads(found[name]["decision"])["lines"]
        assert [(e["line_no"], e["outcome"], e["allowed_cny"]) for e in lines] == [
            (e["line_no"], e["outcome"], e["allowed_cny"]) for e in truth["lines"]
        ]


def test_what_offices_report_has_landed(county: Demo, reached: tuple[Reach, ...]) -> None:
    for each in (e for e in reached if e.factory == OFFICES):
        folder = county.state / "county" / "government" / each.region
        assert {path.stem for path in folder.iterdir()} == set(each.rows)
        for contract, count in each.rows.items():
            told = pa_csv.read_csv(folder / f"{contract}.csv")["updated_at"]
            assert bool(told) == bool(count)
            if not count:
                continue
            store = wiring.store(county.settings())
            rows = store.open(loader.find(contract).table).dataset().to_table()
            mine = rows.filter(pc.equal(rows["_source"], each.source["id"]))
            assert mine.num_rows == count
            assert pc.count_distinct(mine["updated_at"]) == pc.count_distinct(told)


def test_machines_are_heard_from_their_first_word_to_their_last(
    county: Demo, reached: tuple[Reach, ...]
) -> None:
    # Registers stand still, and tell no time of their own.
    told_by = {"opcua_machine", "sparkplug_device"}
    for each in (e for e in reached if e.source["preset"] in told_by):
        found = landed(county, STATES, each.uscc).to_pylist()
        told = truth_of(county, each, STATES).to_pylist()
        begun = min(row["started_at"] for row in found)
        told = [row for row in told if row["started_at"] >= begun]
        assert begun.isoformat() == "2024-12-30T00:00:00+00:00"
        assert [(r["equipment_code"], r["started_at"], r["state"]) for r in found] == [
            (r["equipment_code"], r["started_at"], r["state"]) for r in told
        ]
        for row, after in pairwise(found):
            if row["equipment_code"] == after["equipment_code"]:
                assert row["ended_at"] == after["started_at"]
        if READINGS in each.rows:
            last = {r["equipment_code"]: r for r in truth_of(county, each, READINGS).to_pylist()}
            readings = landed(county, READINGS, each.uscc).to_pylist()
            assert [(r["equipment_code"], r["reading_qty"], r["used_qty"]) for r in readings] == [
                (r["equipment_code"], r["reading_qty"], r["used_qty"]) for r in last.values()
            ]

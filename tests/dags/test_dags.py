"""The DAGs as a set: they load, they are quick to parse, and together they make the chain."""

import ast
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel import canonical
from pipeline import STAGES
from pipeline.settings import ROOT

pytestmark = pytest.mark.airflow
FOLDER = ROOT / "dags"
IGNORED = (FOLDER / ".airflowignore").read_text("utf-8").splitlines()
FILES = sorted(path for path in FOLDER.glob("*.py") if path.name not in IGNORED)
TAGS = {*(f"stage:{stage}" for stage in STAGES), "check"}
HEAVY = (
    "great_expectations",
    "pandas",
    "deltalake",
    "duckdb",
    "pyarrow",
    "confluent_kafka",
    "kafka",
)

LOAD = """
from airflow.dag_processing.dagbag import DagBag
from kernel import canonical
bag = DagBag("dags", bundle_name="dags-folder", load_op_links=False)
assert not bag.import_errors, bag.import_errors
def assets(timetable):
    condition = getattr(timetable, "asset_condition", None)
    return list(getattr(condition, "objects", []))
print(canonical.dumps({
    dag.dag_id: {
        "file": dag.fileloc.rsplit("/", 1)[1],
        "tags": sorted(dag.tags),
        "doc": dag.doc_md,
        "runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "wakes": sorted(asset.uri for asset in assets(dag.timetable)),
        "makes": sorted(o.uri for t in dag.tasks for o in t.outlets),
        "retries": [t.retries for t in dag.tasks],
        "seconds": [t.execution_timeout and t.execution_timeout.total_seconds() for t in dag.tasks],
        "owners": sorted({t.owner for t in dag.tasks}),
        "watchers": [w.name for asset in assets(dag.timetable) for w in asset.watchers],
    } for dag in bag.dags.values()
}).decode())
"""

PARSE = """
import sys, time
import airflow.sdk, airflow.triggers.base
import pipeline.settings
began = time.process_time()
import importlib
importlib.import_module("dags.NAME")
print(time.process_time() - began, *sorted(m for m in HEAVY if m in sys.modules))
"""


@pytest.fixture(scope="module")
def dags(run_python: Callable[..., str]) -> dict[str, dict[str, object]]:
    loaded = canonical.loads(run_python(LOAD).strip().splitlines()[-1])
    assert isinstance(loaded, dict)
    return loaded


def test_each_file_is_the_dag_of_its_name(dags):
    assert {name: dag["file"] for name, dag in dags.items()} == {
        path.stem: path.name for path in FILES
    }
    assert set(STAGES) <= set(dags)


def test_tags_owner_retries_and_page(dags):
    for name, dag in dags.items():
        assert set(dag["tags"]) <= TAGS, name
        assert sum(tag.startswith("stage:") for tag in dag["tags"]) == 1, name
        assert dag["owners"] == ["platform"], name
        assert all(retries >= 1 for retries in dag["retries"]), name
        assert dag["doc"] == ast.get_docstring(
            ast.parse((FOLDER / dag["file"]).read_text("utf-8")), clean=False
        ), name
        assert (dag["runs"], dag["catchup"]) == (1, False), name


def test_no_task_waits_for_ever_and_one_place_says_how_long(dags):
    limits = {seconds for dag in dags.values() for seconds in dag["seconds"]}
    assert limits == {3600}
    for path in FILES:
        assert "timedelta" not in path.read_text("utf-8"), f"{path}: take dags/defaults.py"


def test_the_chain_is_closed(dags):
    made = {uri for dag in dags.values() for uri in dag["makes"]}
    woken = {uri for dag in dags.values() for uri in dag["wakes"]} - {"bus_lag", "landing_lag"}
    assert woken <= made
    links = {(m, name) for name, d in dags.items() for m in d["wakes"]}
    for before, after in (
        ("landing", "refine"),
        ("core", "measure"),
        ("metric", "assess"),
        ("decision", "seal"),
        ("landing", "audit"),
    ):
        assert (f"x-nplusx://county/{before}", after) in links
    watchers = {name: dag["watchers"] for name, dag in dags.items() if dag["watchers"]}
    assert watchers == {"land": ["lag"], "refine": ["moved"]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_parses_in_under_a_second_without_heavy_libraries(path, run_python):
    script = PARSE.replace("NAME", path.stem).replace("HEAVY", repr(HEAVY))
    seconds, *heavy = run_python(script).split()
    assert heavy == []
    assert float(seconds) < 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_shadows_no_package_and_is_short(path):
    assert importlib.util.find_spec(path.stem) is None
    assert len(path.read_text("utf-8").splitlines()) <= 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_our_stages_are_imported_inside_tasks(path):
    top = [
        node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ImportFrom)
    ]
    assert not [
        node.module for node in top if re.match(r"pipeline\.(?!settings)", node.module or "")
    ]


def test_airflow_looks_for_no_dag_in_the_triggers():
    assert "triggers" in IGNORED


HOURLY = """
from airflow.sdk.exceptions import AirflowSkipException
from airflow.dag_processing.dagbag import DagBag
bag = DagBag("dags", bundle_name="dags-folder", load_op_links=False)
for name in ("measure", "assess"):
    (task,) = bag.dags[name].tasks
    try:
        task.python_callable()
    except AirflowSkipException as skipped:
        print(name, skipped)
"""


def test_an_hour_that_strikes_before_anything_is_refined_is_no_failure(
    run_python: Callable[..., str], tmp_path: Path
) -> None:
    told = run_python(HOURLY, NPLUSX_STATE_DIR=str(tmp_path)).splitlines()
    assert [line.split()[0] for line in told if "refine has not run yet" in line] == [
        "measure",
        "assess",
    ]

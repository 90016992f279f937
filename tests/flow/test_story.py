"""The story from end to end with nothing faked: in quiet, once more, and among kills."""

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from connectors import registry
from contracts.loader import find
from county import truth
from pipeline import wiring
from pipeline.audit import docs_folder
from tests.browser import launched, opened
from tests.code_health.tree import ROOT
from tests.flow.kills import arm, await_first_rows, kill, left, rival
from tests.flow.outcome import decision, tables
from tests.flow.stage import PLAYED, Demo
from tests.packs import archive_of, contents, flipped
from warehouse import attempts, quarantine
from warehouse.rebuild import newest_facts

pytestmark = [pytest.mark.kafka, pytest.mark.airflow, pytest.mark.real_system]
BOOKS, PLANTED = truth.demo_books()
SERVED = [plan.contract for plan in registry.find("yonyou_u8").streams]


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """Play the story once: tests look at it, then one stops it and starts it again."""
    made = Demo()
    made.start()
    try:
        made.wait_for(PLAYED, 400)
        yield made
    finally:
        made.clear()


@pytest.fixture(scope="module")
def killed() -> Iterator[Demo]:
    """Play it while land task, broker, scheduler and agent are killed."""
    made = Demo()
    arm(made)
    made.start()
    try:
        made.wait_for("factories keep their books", 200)
        with rival(made):
            await_first_rows(made)
            for program in ("kafka", "airflow-scheduler"):
                kill(made, program)
            made.wait_for(PLAYED, 900)
        yield made
    finally:
        made.clear()


def test_what_was_planted_is_what_came_out(demo: Demo) -> None:
    found = decision(demo.settings())
    assert (found["outcome"], found["amount_cny"]) == ("granted", str(truth.CLAIM.award_cny))
    assert found["eligible_cny"] == str(truth.CLAIM.eligible_cny)
    lines = found["lines"]
    assert isinstance(lines, list)
    assert [(line["line_no"], line["outcome"], line["allowed_cny"]) for line in lines] == [
        (each.line_no, each.outcome, str(each.allowed_cny)) for each in truth.CLAIM.lines
    ]
    for line, planted in zip(lines, truth.CLAIM.lines, strict=True):
        against = {rule for rule, outcome in line["rules"] if outcome != "allowed"}
        assert against == ({planted.rule} if planted.rule else set()), line


def test_the_bad_rows_and_no_others_are_in_quarantine_with_their_reasons(demo: Demo) -> None:
    store = wiring.store(demo.settings())
    held = attempts.visible(store, quarantine.QUARANTINE, quarantine.SCHEMA).to_pylist()
    found = Counter((row["contract"], code) for row in held for code in row["reasons"])
    assert found == Counter((each.contract, each.reason) for each in PLANTED)


def test_on_time_delivery_is_what_the_books_say(demo: Demo) -> None:
    rows = wiring.store(demo.settings()).open("metric").dataset().to_table().to_pylist()
    found = {row["period"]: float(row["value"]) for row in rows}
    planted = {m: kept / due for m, (kept, due) in truth.on_time(BOOKS).items()}
    assert found == pytest.approx(planted)


def test_every_row_is_accounted_for(demo: Demo) -> None:
    done = demo.run("doctor", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] is True
    told = [s for s in report["streams"] if s["contract"].startswith(("erp.", "mes.", "srm."))]
    assert {s["contract"]: s["produced"] for s in told} == truth.produced(BOOKS, SERVED)
    assert {s["contract"]: s["landed"] for s in told} == truth.landed(BOOKS, PLANTED, SERVED)
    assert all(s["lag"] == 0 and not s["holes"] for s in report["streams"])


def test_a_real_scheduler_ran_every_stage_and_the_bus_woke_it(demo: Demo) -> None:
    for stage in ("land", "refine", "measure", "assess", "seal", "audit"):
        runs = ended(demo, stage)
        assert [run for run in runs if run["state"] == "success"], f"{stage}: {runs}"
        woken = [run for run in runs if run["run_type"] == "asset_triggered"]
        assert woken, f"{stage} was never woken by an event: {runs}"
        assert not [run for run in runs if run["state"] == "failed"], stage
    assert any("contracts" in str(event) for event in demo.asset_events())


def ended(demo: Demo, stage: str) -> list[dict[str, object]]:
    """Give a stage's runs when one has ended: the second opinion comes when all has been played."""
    deadline = time.monotonic() + 240
    while True:
        runs = demo.airflow(f"dags/{stage}/dagRuns?limit=100")["dag_runs"]
        assert isinstance(runs, list)
        if any(run["end_date"] for run in runs):
            return runs
        assert time.monotonic() < deadline, f"{stage}: {runs}"
        time.sleep(0.5)


def test_what_is_landed_beside_airflow_wakes_refine(demo: Demo) -> None:
    store = wiring.store(demo.settings())
    landing = store.open(find("erp.payment.v1").table)
    landing.append(landing.dataset().schema.empty_table(), {}, {})
    moved = {"landing__erp_payment_v1": landing.version + 1}
    deadline = time.monotonic() + 120
    while newest_facts(store.open("core__erp_payment"))["reads"] != moved:
        assert time.monotonic() < deadline, demo.airflow("dags/refine/dagRuns?limit=100")
        time.sleep(0.5)
    events = demo.asset_events()
    told = [event["extra"]["payload"] for event in events if event["uri"] == "landing_lag"]
    assert {"tables": ["landing__erp_payment_v1"]} in told


def test_the_second_opinion_is_published(demo: Demo) -> None:
    for contract in SERVED:
        page = docs_folder(demo.settings()) / contract / "index.html"
        assert page.is_file(), f"no Data Docs of {contract}"
    findings = wiring.store(demo.settings()).open("audit_finding").dataset()
    assert findings.count_rows() == 0


def test_explain_walks_from_yuan_to_offsets(demo: Demo) -> None:
    done = demo.run("explain", truth.CLAIM.claim_id)
    assert done.returncode == 0, done.stderr
    for wanted in (
        "133938.05",
        "S0-C24",
        "partition",
        "signed by agent factory-001",
        "ledger entry",
    ):
        assert wanted in done.stdout


def test_a_second_process_with_an_empty_state_folder_verifies_the_pack(
    demo: Demo, tmp_path: Path
) -> None:
    (pack,) = (demo.state / "packs").glob("*.zip")
    done = demo.run("verify", str(pack), "--drill", state=tmp_path / "empty")
    assert done.returncode == 0, done.stderr
    assert "133938.05" in done.stdout
    assert "not pinned" in done.stderr
    county = tmp_path / "county.pub"
    county.write_text(demo.run("key").stdout)
    done = demo.run("verify", str(pack), "--key", str(county), state=tmp_path / "empty")
    assert (done.returncode, done.stderr) == (0, "")
    files = contents(pack)
    files["records.parquet"] = flipped(files["records.parquet"])
    broken = archive_of(tmp_path / "broken.zip", files)
    done = demo.run("verify", str(broken), state=tmp_path / "empty")
    assert done.returncode == 5
    assert "Where: records.parquet." in done.stderr


def test_status_shows_every_program(demo: Demo) -> None:
    done = demo.run("status")
    assert done.returncode == 0, done.stderr
    for program in ("kafka", "county", "airflow-scheduler", "portal", "agent-factory-001"):
        assert program in done.stdout


def test_no_secret_stands_in_logs_tables_configuration_or_packs(demo: Demo) -> None:
    planted = [
        path.read_bytes().strip()
        for folder in ("keys", "secrets")
        for path in (demo.state / folder).glob("*")
        if path.suffix != ".pgpass" and path.is_file()
    ]
    assert len(planted) >= 6
    for folder in ("logs", "lake", "packs", "agents", "outbox", "data_docs"):
        for path in (demo.state / folder).rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                leaked = [each for each in planted if len(each) > 10 and each in content]
                assert not leaked, f"{path.relative_to(demo.state)} holds a secret"


@pytest.mark.browser
def test_the_claim_is_read_in_a_browser(demo: Demo) -> None:
    shots = ROOT / "artefacts" / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    address = f"http://127.0.0.1:{demo.settings().portal.port}"
    with launched() as chromium, opened(chromium, address, {"width": 1280, "height": 800}) as page:
        page.goto("/login")
        page.get_by_label("用户名").fill("auditor")
        page.get_by_label("密码").fill(demo.login("auditor"))
        page.get_by_role("button", name="登录").click()
        page.get_by_text(truth.CLAIM.claim_id).first.click()
        expect(page.locator("main")).to_contain_text("133,938.05")
        assert page.locator("[id^=line-]").count() == len(truth.CLAIM.lines)
        page.screenshot(path=shots / "story-claim.png", full_page=True)
        with page.expect_download() as download:
            page.locator("a[href$='/pack']").click()
        (pack,) = (demo.state / "packs").glob("*.zip")
        assert Path(download.value.path()).read_bytes() == pack.read_bytes()
        for place in ("streams", "quarantine", "metrics"):
            page.goto(f"/{place}")
            page.screenshot(path=shots / f"story-{place}.png", full_page=True)


def test_ctrl_c_ends_every_process_and_a_second_start_repeats_nothing(demo: Demo) -> None:
    first = decision(demo.settings())
    assert demo.process is not None
    for words in (("demo", "--exit"), ("up",)):
        second = demo.run(*words)
        assert second.returncode == 2
        assert f"process {demo.process.pid}" in second.stderr
    assert demo.run("status").returncode == 0
    assert demo.process.poll() is None
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(timeout=120) in {0, 130}
    assert demo.leftovers() == []

    demo.start("--exit")
    assert demo.process.wait(timeout=300) == 0, demo.said()
    assert demo.leftovers() == []
    assert decision(demo.settings()) == first
    store = wiring.store(demo.settings())
    assert store.open("decision").dataset().count_rows() == 1
    assert store.open("ledger").dataset().count_rows() == 1


def test_every_armed_crash_happened(killed: Demo) -> None:
    assert left(killed) == []


def test_the_tables_of_the_killed_are_those_of_the_quiet_run(killed: Demo, demo: Demo) -> None:
    quiet, loud = tables(demo.settings()), tables(killed.settings())
    assert quiet.keys() == loud.keys()
    for name, rows in quiet.items():
        assert loud[name] == rows, f"{name} differs"


def test_the_decision_of_the_killed_is_that_of_the_quiet_run(killed: Demo, demo: Demo) -> None:
    assert decision(killed.settings()) == decision(demo.settings())


def test_the_doctor_finds_nothing_unexplained_in_the_killed(killed: Demo) -> None:
    done = killed.run("doctor")
    assert done.returncode == 0, done.stderr

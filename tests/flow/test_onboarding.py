"""The page on onboarding is played from its own text: every command, every file."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from county import load, shape, truth, world
from county.servers.postgres import Postgres
from pipeline.doctor import examine
from pipeline.settings import ROOT
from tests.flow.stage import Demo

pytestmark = [pytest.mark.kafka, pytest.mark.airflow, pytest.mark.real_system]
PAGE = (ROOT / "docs/onboarding.md").read_text("utf-8")
RESIDENT = "nplusx agent run factory.yaml\n"
FILES = dict(re.findall(r"`(\w+\.yaml)`[^`]*?:\n\n```yaml\n(.*?)```", PAGE, re.DOTALL))
SCRIPTS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def county() -> Iterator[Demo]:
    made = Demo()
    try:
        yield made
    finally:
        made.clear()


def streams(county: Demo) -> dict[str, int]:
    """Give the rows that landed, by enterprise and agent; empty while not all is accounted for."""
    health = examine(county.settings())
    landed: dict[str, int] = {}
    for each in health.streams if health.ok else ():
        name = "/".join(str(each.stream).split("/")[:2])
        landed[name] = landed.get(name, 0) + each.landed
    return landed


def test_a_county_and_a_factory_start_from_nothing_by_the_page(county: Demo) -> None:
    assert set(FILES) == {"county.yaml", "factory.yaml", "dossier.yaml"}
    folder = county.base / "pc"
    folder.mkdir()
    settings = county.settings()
    # Beside the console script of this environment, what the prose says to set.
    environment = {
        **county.environment,
        "PATH": f"{Path(sys.executable).parent}:{county.environment['PATH']}",
    }
    resident = None
    erp = Postgres(county.base / "erp")
    try:
        for script in SCRIPTS:
            if script == RESIDENT:
                resident = subprocess.Popen(script.split(), cwd=folder, env=environment)
                wait_for(county, {f"{world.FACTORY}/u8-pc": 1000})
                continue
            done = subprocess.run(
                ["/bin/sh", "-eu", "-c", script],
                cwd=folder, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{script}{done.stdout}{done.stderr}"
            if script is SCRIPTS[0]:
                erp.start()
                url = erp.database("ufdata")
                rows = shape.as_arrow(truth.demo_books()[0])
                load.into_database(url, shape.tables(truth.demo_factory(), "yonyou_u8", rows))
                login, place = url.partition("://")[2].split("@")
                user, environment["NPLUSX_U8_PASSWORD"] = login.split(":")
                environment["NPLUSX_KAFKA_BOOTSTRAP_SERVERS"] = settings.bootstrap_servers
                real = {"reader:": f"{user}:", "erp.example:5432/UFDATA_001_2024": place}
                for name, text in FILES.items():
                    # Nobody has to wait for an agent's next round.
                    sooner = "poll_seconds: 2\n" if text.startswith("agent:") else ""
                    (folder / name).write_text(as_it_is(text, real) + sooner, "utf-8")
        wait_for(county, {f"{world.authority_uscc()}/county": 4})
    finally:
        if resident is not None:
            resident.terminate()
            assert resident.wait(30) == 0
        erp.stop()
    assert county.run("status").returncode == 0
    assert county.run("down").returncode == 0
    assert county.run("status").returncode == 4
    assert county.leftovers() == []
    assert county.run("down", "--purge").returncode == 0
    assert not county.state.exists()


def as_it_is(text: str, real: dict[str, str]) -> str:
    """Put what is there in the place of what the page made up."""
    for written, meant in real.items():
        text = text.replace(written, meant)
    return text


def wait_for(county: Demo, rows: dict[str, int]) -> None:
    """Wait until so many rows landed and every row is accounted for."""
    deadline = time.monotonic() + 300
    while True:
        landed = streams(county)
        if all(landed.get(name, 0) >= least for name, least in rows.items()):
            return
        assert time.monotonic() < deadline, f"{rows} did not land: {landed}"
        time.sleep(0.5)

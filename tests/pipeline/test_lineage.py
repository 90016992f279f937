"""Lineage: what each run read and wrote, told to a file or an address, and never in the way."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bus.topics import topic_of
from contracts.loader import find
from contracts.schema import landing_schema
from kernel.errors import ConfigurationError
from pipeline import lineage
from pipeline.measure import measure
from pipeline.refine import refine
from pipeline.settings import read_settings
from tests.pipeline.world import World, row

CONTRACT = "erp.payment.v1"
TOPIC = topic_of(find(CONTRACT).id)
PLANTED = "planted-secret"
Event = dict[str, object]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    lineage._complain.cache_clear()


def told(world: World) -> list[Event]:
    (path,) = (world.settings.state_dir / "lineage").iterdir()
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def of(events: list[Event], job: str, kind: str) -> list[Event]:
    return [e for e in events if e["job"]["name"] == job and e["eventType"] == kind]


def land(world: World, *payments: str) -> None:
    world.send(CONTRACT, *(row(CONTRACT, payment_id=each) for each in payments))
    world.land()


def test_a_landing_tells_its_offsets_and_the_version_that_holds_them(world: World) -> None:
    land(world, "P1")
    land(world, "P2", "P3")
    started = of(told(world), "land.land_one", "START")
    first, second = of(told(world), "land.land_one", "COMPLETE")
    assert [each["run"]["runId"] for each in started] == [
        each["run"]["runId"] for each in (first, second)
    ]
    (topic,) = second["inputs"]
    assert (topic["namespace"], topic["name"]) == ("kafka://127.0.0.1:29192", TOPIC)
    (part,) = topic["inputFacets"]["subset"]["inputCondition"]["partitions"]
    number = part["dimensions"]["partition"]
    assert part == {
        "identifier": f"{TOPIC}-{number}",
        "dimensions": {"partition": number, "startOffset": 1, "endOffset": 1},
    }
    assert topic["inputFacets"]["inputStatistics"]["rowCount"] == 2
    (table,) = second["outputs"]
    handle = world.store.open(find(CONTRACT).table)
    assert (table["namespace"], table["name"]) == (
        "file", f"{world.settings.lake_uri}/{find(CONTRACT).table}"
    )  # fmt: skip
    assert table["facets"]["version"]["datasetVersion"] == str(handle.version)
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert second["run"]["facets"]["nplusx_contract"]["id"] == CONTRACT


def test_a_landing_tells_what_the_gate_found_and_where_each_column_comes_from(
    world: World,
) -> None:
    world.send(CONTRACT, row(CONTRACT), row(CONTRACT, payment_id="P2", payee_uscc="x" * 18))
    world.land()
    (done,) = of(told(world), "land.land_one", "COMPLETE")
    (topic,), (table,) = done["inputs"], done["outputs"]
    assert topic["inputFacets"]["dataQualityMetrics"]["rowCount"] == 2
    (found,) = topic["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (found["name"], found["success"], found["actual"]) == (CONTRACT, False, "1")
    fields = table["facets"]["schema"]["fields"]
    assert fields[0] == {"name": "payment_id", "type": "string"}
    assert [each["name"] for each in fields] == landing_schema(find(CONTRACT)).names
    lineage = table["facets"]["columnLineage"]["fields"]
    assert lineage.keys() == {each.name for each in find(CONTRACT).properties}
    place = {name: topic[name] for name in ("namespace", "name")}
    assert lineage["paid_on"]["inputFields"] == [{**place, "field": "paid_on"}]


def test_refine_and_measure_tell_the_tables_that_they_renewed(world: World) -> None:
    land(world, "P1")
    refine()
    measure()
    refine()
    first, second = of(told(world), "refine.refine", "COMPLETE")
    read = {Path(each["name"]).name for each in first["inputs"]}
    assert find(CONTRACT).table in read
    assert all(name.startswith("landing__") for name in read)
    assert "core__erp_payment" in {Path(each["name"]).name for each in first["outputs"]}
    assert all(each["facets"]["schema"]["fields"] for each in first["outputs"])
    assert (second["inputs"], second["outputs"]) == ([], [])
    (measured,) = of(told(world), "measure.measure", "COMPLETE")
    assert measured["outputs"]


def test_every_event_and_facet_names_its_schema(world: World) -> None:
    land(world, "P1")
    refine()
    for event in told(world):
        assert {"eventTime", "producer", "schemaURL", "eventType"} <= set(event)
        facets = [*event["run"]["facets"].values(), *event["job"]["facets"].values()]
        for dataset in (*event["inputs"], *event["outputs"]):
            for kind in ("facets", "inputFacets", "outputFacets"):
                facets += dataset.get(kind, {}).values()
        assert facets
        assert all(each["_producer"] and each["_schemaURL"] for each in facets)


def test_a_run_that_fails_says_so_without_its_words(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_of: object) -> None:
        raise RuntimeError(f"postgresql://u:{PLANTED}@db")

    monkeypatch.setattr("pipeline.refine.rebuild", fail)
    with pytest.raises(RuntimeError):
        refine()
    (failed,) = of(told(world), "refine.refine", "FAIL")
    assert failed["run"]["facets"]["errorMessage"]["message"] == "RuntimeError"
    assert PLANTED not in json.dumps(told(world))


class Receiver(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[str, str, Event]] = []
        self.status = 201


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, self.headers["authorization"], json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_of: object) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _point(world: World, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setenv("NPLUSX_LINEAGE_URL", f"http://127.0.0.1:{port}/api/v1/lineage")
    token = world.settings.state_dir / "token"
    token.write_text(PLANTED)
    monkeypatch.setenv("NPLUSX_LINEAGE_TOKEN_FILE", str(token))


@pytest.mark.real_system
def test_events_are_posted_with_the_token_which_is_nowhere_else(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    _point(world, monkeypatch, receiver.server_port)
    land(world, "P1")
    assert [(path, who, event["eventType"]) for path, who, event in receiver.got] == [
        ("/api/v1/lineage", f"Bearer {PLANTED}", kind) for kind in ("START", "COMPLETE")
    ]
    assert PLANTED not in json.dumps([event for *_, event in receiver.got])
    assert not (world.settings.state_dir / "lineage").exists()


@pytest.mark.real_system
@pytest.mark.parametrize("trouble", ["refuses", "is away", "has no token"])
def test_a_receiver_in_trouble_is_logged_once_and_the_stage_goes_on(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, trouble: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    _point(world, monkeypatch, 9 if trouble == "is away" else receiver.server_port)
    receiver.status = 500
    if trouble == "has no token":
        (world.settings.state_dir / "token").unlink()
    land(world, "P1")
    land(world, "P2")
    assert world.store.open(find(CONTRACT).table).dataset().count_rows() == 2
    said = "".join(capsys.readouterr())
    assert said.count("lineage is not told") == 1
    assert PLANTED not in said


def test_a_folder_that_cannot_be_written_holds_up_no_stage(world: World) -> None:
    (world.settings.state_dir / "lineage").write_text("in the way")
    land(world, "P1")
    assert world.store.open(find(CONTRACT).table).dataset().count_rows() == 1


@pytest.mark.parametrize("url", ["marquez:5000", "ftp://x/y", "http://u:p@host/x", "http://"])
def test_an_address_that_is_none_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPLUSX_LINEAGE_URL", url)
    with pytest.raises(ConfigurationError, match="NPLUSX_LINEAGE_URL"):
        read_settings()

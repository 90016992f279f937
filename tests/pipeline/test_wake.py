"""Waking: what `land --follow` commits makes the DAG's own asset event, and never waits for it."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from contracts.loader import find
from kernel import canonical
from pipeline.follow import follow
from pipeline.settings import AirflowSettings
from pipeline.wake import LANDING, Waker
from tests.pipeline.world import World, row

pytestmark = pytest.mark.real_system
CONTRACT = find("erp.payment.v1")
PLANTED = "planted-secret"


class Airflow(ThreadingHTTPServer):
    """Answers as Airflow 3 does, and records what it is asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: list[dict[str, object]] = []
        self.logins: list[dict[str, object]] = []
        self.status = 200


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/auth/token":
            self.server.logins.append(said)
            self._answer(201, {"access_token": "t"})
        elif self.path == "/api/v2/assets/events" and self._may():
            self.server.events += [said] if self.server.status == 200 else []
            self._answer(self.server.status, {})
        else:
            self._answer(404, {})

    def do_GET(self) -> None:
        assert self.path == "/api/v2/assets?uri_pattern=x-nplusx%3A%2F%2Fcounty%2Flanding"
        others = {"id": 3, "uri": LANDING + "_of_others"}
        known = {"assets": [others, {"id": 7, "uri": LANDING}]}
        self._answer(200 if self._may() else 401, known)

    def _may(self) -> bool:
        return self.headers["authorization"] == "Bearer t"

    def _answer(self, status: int, said: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *_of: object) -> None:
        return


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    with Airflow() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def told(world: World, airflow: Airflow) -> AirflowSettings:
    secret = world.settings.state_dir / "airflow"
    secret.write_text(PLANTED + "\n")
    return AirflowSettings(
        url=f"http://127.0.0.1:{airflow.server_port}", user="engineer", password_file=secret
    )


def commit(world: World, waker: Waker, *payments: dict[str, object]) -> None:
    world.send(CONTRACT.id, *(row(CONTRACT.id, **each) for each in payments))
    world.land()
    waker.landed(CONTRACT)


def test_an_event_carries_what_the_dags_event_does(
    world: World, airflow: Airflow, told: AirflowSettings
) -> None:
    waker = Waker(told, world.store)
    waker.watch(CONTRACT)
    commit(world, waker, {"payment_id": "P1"}, {"payment_id": "P2", "payee_uscc": "x" * 18})
    waker.tell()
    waker.tell()
    (event,) = airflow.events
    assert event["asset_id"] == 7
    extra = event["extra"]
    assert isinstance(extra, dict)
    assert {key: set(value) for key, value in extra.items()} == {
        key: {CONTRACT.id}
        for key in (
            "table_version", "contract_id", "contract_version", "offsets", "rows_in",
            "rows_landed", "rows_quarantined",
        )
    }  # fmt: skip
    assert extra["table_version"][CONTRACT.id] == world.store.open(CONTRACT.table).version
    counts = [extra[f"rows_{name}"][CONTRACT.id] for name in ("in", "landed", "quarantined")]
    assert counts == [2, 1, 1]
    assert sorted(extra["offsets"][CONTRACT.id].values()) == [[0, 0], [0, 1]]
    assert airflow.logins == [{"username": "engineer", "password": PLANTED}]


def test_trouble_is_logged_once_and_told_with_the_next_commit(
    world: World, airflow: Airflow, told: AirflowSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    waker = Waker(told, world.store)
    airflow.status = 503
    for name in ("P1", "P2"):
        commit(world, waker, {"payment_id": name})
        waker.tell()
    assert airflow.events == []
    said = "".join(capsys.readouterr())
    assert said.count("airflow is not told") == 1
    assert PLANTED not in said
    airflow.status = 200
    commit(world, waker, {"payment_id": "P3"})
    waker.tell()
    (event,) = airflow.events
    assert event["extra"]["rows_landed"] == {CONTRACT.id: 3}
    commit(world, waker, {"payment_id": "P4"})
    waker.tell()
    assert airflow.events[1]["extra"]["rows_landed"] == {CONTRACT.id: 1}


@pytest.mark.parametrize("trouble", ["", "is away", "has no password", "knows no asset"])
def test_following_lands_whatever_airflow_does(
    world: World, airflow: Airflow, told: AirflowSettings, trouble: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    port = 9 if trouble == "is away" else airflow.server_port
    monkeypatch.setenv("NPLUSX_AIRFLOW_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("NPLUSX_AIRFLOW_PASSWORD_FILE", str(told.password_file))
    if trouble == "has no password":
        Path(str(told.password_file)).unlink()
    if trouble == "knows no asset":
        monkeypatch.setattr(Handler, "do_GET", lambda self: self._answer(200, {"assets": []}))
    stop, landed = Event(), Event()
    world.send(CONTRACT.id, row(CONTRACT.id))
    thread = Thread(target=follow, args=([CONTRACT.id], stop, lambda _counts: landed.set()))
    thread.start()
    try:
        assert landed.wait(60)
        deadline = time.monotonic() + 60
        while not trouble and not airflow.events:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    assert world.store.open(CONTRACT.table).dataset().count_rows() == 1
    assert len(airflow.events) == (0 if trouble else 1)
    assert PLANTED not in canonical.dumps(airflow.events).decode()

"""The gateway: what a factory sends over the web lands as if it had reached the brokers."""

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn

from bus.gateway import Door, GatewaySender
from bus.ports import Record
from connectors.config import load_agent
from contracts.loader import find
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import AgentId
from pipeline.ingest import issue_token
from pipeline.publish import Agent, way_out
from pipeline.settings import IngestSettings, LandSettings, Settings
from portal.ingest import Allowance, create_app
from tests.certificates import Authority
from tests.pipeline.world import AGENTS, AUTHORITY, KEYS, World
from tests.rows import FACTORY, record_of, valid_row

pytestmark = pytest.mark.real_system
CONTRACT = find("erp.payment.v1")
Open = Callable[[Settings], "Gate"]


class Gate:
    """A gateway that listens on TLS in a thread of the test."""

    def __init__(self, settings: Settings, files: tuple[Path, Path], idle: int = 5) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._door.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(settings), log_level="critical", ssl_certfile=files[0], ssl_keyfile=files[1],
            timeout_keep_alive=idle,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._door],))
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self._door.close()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path, monkeypatch)
    made.bus.ensure_topics(["nplusx.erp.payment.v1"])
    return made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def serve(authority: Authority) -> Iterator[Open]:
    opened: list[Gate] = []

    def build(settings: Settings) -> Gate:
        opened.append(Gate(settings, authority.certify("gate")))
        return opened[-1]

    yield build
    for each in opened:
        each.close()


@contextmanager
def sending(world: World, url: str, vouches: Path | None, agent: str = AGENTS[FACTORY]):
    token = issue_token(world.settings, AgentId(agent), 1)
    with closing(GatewaySender(Door(url, token, vouches, timeout_seconds=5))) as sender:
        yield sender


def payments(first: int, sequence: int = 1, **changes: object) -> Record:
    rows = [valid_row(CONTRACT, payment_id=f"PAY{first + n}") for n in range(3)]
    return record_of(CONTRACT, rows, sequence=sequence, **changes)


def landed(world: World) -> list[object]:
    world.land()
    rows = world.store.open(CONTRACT.table).dataset().to_table(["payment_id"])
    return sorted(rows["payment_id"].to_pylist())


def test_what_came_over_the_web_lands_and_a_repeat_is_dropped(world, serve, authority) -> None:
    gate = serve(world.settings)
    sent = [payments(0), payments(3, sequence=2)]
    with sending(world, gate.url, authority.file) as sender:
        assert sender.send(sent) == ("", "")
        # The answer to the last was lost: an agent sends it again.
        assert sender.send(sent[1:]) == ("",)
        assert sender.clock is not None
        assert abs(sender.clock.skew_seconds) <= sender.clock.bound_seconds
    assert landed(world) == [f"PAY{n}" for n in range(6)]


def test_a_gateway_that_hung_up_meanwhile_costs_nothing(world, authority, request) -> None:
    gate = Gate(world.settings, authority.certify("gate"), idle=0)
    request.addfinalizer(gate.close)
    with sending(world, gate.url, authority.file) as sender:
        for n in range(5):
            assert sender.send([payments(3 * n, sequence=n + 1)]) == ("",)
            # Its farewell is there before anything else is said.
            assert select.select([sender._connection.sock], [], [], 10)[0]
    assert len(landed(world)) == 15


def test_a_topic_that_is_closed_stops_its_streams_alone(world, serve, authority) -> None:
    gate = serve(world.settings)
    customers = find("erp.customer.v1")
    with sending(world, gate.url, authority.file) as sender:
        told = sender.send([record_of(customers, [valid_row(customers)]), payments(0)])
        assert "topic nplusx.erp.customer.v1 is closed. Cure:" in told[0]
        assert told[1] == ""
        world.bus.ensure_topics(["nplusx.erp.customer.v1"])
        assert sender.send([record_of(customers, [valid_row(customers)])]) == ("",)


def test_headers_in_chinese_arrive_as_they_were_signed(world, serve, authority) -> None:
    gate = serve(world.settings)
    contract = find("erp.payment.v1")
    record = record_of(contract, [valid_row(contract)])
    odd = replace(record, headers=(*record.headers, ("ce_note", '备注 100% "x"'.encode())))
    with sending(world, gate.url, authority.file) as sender:
        # Signed headers: one more breaks the signature, which shows that it was read.
        (said,) = sender.send([odd])
    assert "signature.invalid" in said


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda record: replace(record, value=record.value + b"x"), "record.digest"),
        (
            lambda record: replace(
                record, headers=tuple(h for h in record.headers if h[0] != "ce_signature")
            ),
            "signature.missing",
        ),
        (
            lambda _record: record_of(CONTRACT, [valid_row(CONTRACT)], key=KEYS[AUTHORITY]),
            "signature.key",
        ),
    ],
    ids=["body", "unsigned", "another's key"],
)
def test_what_landing_would_refuse_is_refused_at_the_door(
    world, serve, authority, change, why
) -> None:
    gate = serve(world.settings)
    with sending(world, gate.url, authority.file) as sender:
        told = sender.send([change(payments(0)), payments(3, sequence=2)])
    assert why in told[0]
    assert "Cure: " in told[0]
    # The stream waits behind what was refused; another one would not.
    assert told[1] == "an earlier record of its stream was not delivered"
    (extent,) = world.bus.extents(["nplusx.erp.payment.v1"]).values()
    assert {end for _, end in extent.spans.values()} == {0}


def test_another_agents_token_does_not_open(world, serve, authority) -> None:
    gate = serve(world.settings)
    with sending(world, gate.url, authority.file, AGENTS[AUTHORITY]) as sender:
        assert "the token is of the agent county-1" in sender.send([payments(0)])[0]


@pytest.mark.parametrize("how", ["forged", "ended", "none"])
def test_no_good_token_is_told_with_its_cure(world, serve, authority, how) -> None:
    gate = serve(world.settings)
    good = issue_token(world.settings, AGENTS[FACTORY], 1)
    token = {
        "forged": good[:-2] + ("AA" if not good.endswith("AA") else "BB"),
        "ended": issue_token(world.settings, AGENTS[FACTORY], -1),
        "none": "",
    }[how]
    with closing(GatewaySender(Door(gate.url, token, authority.file))) as sender:
        with pytest.raises(DependencyUnavailableError, match=r"agent in.*new token") as told:
            sender.send([payments(0)])
        assert ("过期" in str(told.value)) == (how == "ended")
        assert not token or token not in str(told.value)


def test_a_record_that_is_too_large_stops_its_stream_alone(world, serve, authority) -> None:
    small = world.settings.model_copy(update={"land": LandSettings(record_bytes=1 << 16)})
    gate = serve(small)
    large = replace(payments(0), value=b"x" * (1 << 17))
    with sending(world, gate.url, authority.file) as sender:
        assert "more than 65536 bytes" in sender.send([large])[0]


def test_who_sends_too_much_waits_and_gets_through(world, serve, authority) -> None:
    few = IngestSettings(records_per_minute=60)
    gate = serve(world.settings.model_copy(update={"ingest": few}))
    with sending(world, gate.url, authority.file) as sender:
        sent = [payments(3 * n, sequence=n + 1) for n in range(62)]
        assert set(sender.send(sent)) == {""}
    assert len(landed(world)) == 186


def test_an_allowance_is_each_agents_own() -> None:
    allowance = Allowance(2)
    assert [allowance.wait("a"), allowance.wait("a")] == [0.0, 0.0]
    assert 0 < allowance.wait("a") <= 30
    assert allowance.wait("b") == 0.0


def test_a_gateway_that_nobody_vouches_for_is_not_believed(
    world, serve, authority, tmp_path
) -> None:
    gate = serve(world.settings)
    other = tmp_path / "other"
    other.mkdir()
    with (
        sending(world, gate.url, Authority(other).file) as sender,
        pytest.raises(DependencyUnavailableError, match=r"not believed.*send\.ca_file"),
    ):
        sender.send([payments(0)])


def test_an_expired_certificate_is_named(world, authority, request) -> None:
    gate = Gate(world.settings, authority.certify("old", days=-1))
    request.addfinalizer(gate.close)
    with (
        sending(world, gate.url, authority.file) as sender,
        pytest.raises(DependencyUnavailableError, match=r"expired.*renew it at the county"),
    ):
        sender.send([payments(0)])


def test_plain_http_leaves_this_machine_never() -> None:
    with pytest.raises(ConfigurationError, match="by https"):
        GatewaySender(Door("http://county.example:28443", "t"))


def test_a_bus_that_is_down_is_told_and_what_waits_goes_later(
    world, serve, authority, monkeypatch
) -> None:
    gate = serve(world.settings)
    held = world.bus.sender

    def down() -> None:
        raise DependencyUnavailableError("Kafka does not answer: secret place.", where="b:9092")

    monkeypatch.setattr(world.bus, "sender", down)
    with sending(world, gate.url, authority.file) as sender:
        with pytest.raises(DependencyUnavailableError, match="503") as told:
            sender.send([payments(0)])
        assert "secret place" not in str(told.value)
        monkeypatch.setattr(world.bus, "sender", held)
        assert sender.send([payments(0)]) == ("",)
    assert landed(world) == ["PAY0", "PAY1", "PAY2"]


@pytest.fixture
def office(world, tmp_path) -> Path:
    """Give the folder of an agent that reads a file with a customer."""
    drop = tmp_path / "drop" / "客户.csv"
    drop.parent.mkdir()
    lines = "客户编码,客户名称,统一社会信用代码,修改时间", "C1,某家,,2024-05-06 08:00:00"
    drop.write_text("\n".join(lines), "utf-8")
    os.utime(drop, (1e9, 1e9))
    (tmp_path / "agent.key").write_text(KEYS[FACTORY].text)
    world.bus.ensure_topics(["nplusx.erp.customer.v1"])
    return tmp_path


def written(office: Path, gate: Gate) -> Path:
    """Write the agent's file; the token stands in a file of its own."""
    file = office / "agent.yaml"
    file.write_text(
        f"agent: {{id: {AGENTS[FACTORY]}, enterprise: {FACTORY}, key_file: agent.key,"
        f" outbox: o.sqlite}}\nsources:\n"
        f"- {{id: office, preset: office_sheets, folder: drop}}\n"
        f"send: {{url: {gate.url}, ca_file: ca.pem, token: '${{file:token}}'}}\n",
        "utf-8",
    )
    return file


def test_an_agent_sends_by_the_gateway_that_its_file_names(world, serve, authority, office) -> None:
    file = written(office, serve(world.settings))
    (office / "ca.pem").write_bytes(authority.file.read_bytes())
    # As Notepad writes it.
    (office / "token").write_text(issue_token(world.settings, AGENTS[FACTORY], 1), "utf-8-sig")
    config = load_agent(file)
    with closing(Agent(config, way_out(config, world.settings), world.settings)) as agent:
        report = agent.round()
    assert not report.error
    world.land()
    rows = world.store.open(find("erp.customer.v1").table).dataset().to_table()
    assert rows["customer_name"].to_pylist() == ["某家"]
    assert sum(each.pending for each in report.streams) == 0
    # The token is nowhere but in its file.
    assert "nxg1" not in file.read_text("utf-8") + repr(config)


def test_what_lets_an_agent_in_is_used_from_when_it_is_in_place(
    world, serve, authority, office
) -> None:
    config = load_agent(written(office, serve(world.settings)))
    token = office / "token"
    token.write_text(issue_token(world.settings, AGENTS[FACTORY], -1), "utf-8")
    (office / "other").mkdir()
    (office / "ca.pem").write_bytes(Authority(office / "other").file.read_bytes())
    with closing(Agent(config, way_out(config, world.settings), world.settings)) as agent:
        assert "send.ca_file" in agent.round().error
        (office / "ca.pem").write_bytes(authority.file.read_bytes())
        assert "过期" in agent.round().error
        token.write_text("令牌", "utf-8")
        assert "not what the county made" in agent.round().error
        token.write_text(issue_token(world.settings, AGENTS[FACTORY], 1), "utf-8")
        report = agent.round()
        assert report.is_clean, report
    assert sum(each.pending for each in report.streams) == 0


def test_a_token_in_the_file_itself_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(
        f"agent: {{id: a, enterprise: {FACTORY}, key_file: k, outbox: o}}\n"
        "sources:\n- {id: office, preset: office_sheets, folder: drop}\n"
        "send: {url: 'https://county.example', token: nxg1.a.1.x}\n",
        "utf-8",
    )
    with pytest.raises(ConfigurationError, match=r"password stands in the file.*send\.token"):
        load_agent(file)

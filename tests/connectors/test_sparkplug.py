"""The sparkplug kind with a real broker and Eclipse's own client as edge node."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from connectors.base import Source, StreamPlan
from connectors.fields import Fields
from connectors.kinds import sparkplug
from connectors.kinds.sparkplug import SparkplugConnector, SparkplugSource, SparkplugStream
from connectors.sparkplug_host import Host
from connectors.wires.sparkplug_payload import Metric, Payload, decode, encode
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import ContractId, SourceId
from tests.connectors.machines.broker import EdgeNode, mosquitto
from tests.connectors.machines.landing import agent_of, landed
from tests.connectors.machines.processes import Program, until
from tests.pipeline.world import World

STATE = ContractId("mes.equipment_state.v1")
EDGE = "工厂A/line1"


def plan(*metrics: str) -> StreamPlan[SparkplugStream]:
    return StreamPlan(STATE, "1.2.0", "select * from rows", SparkplugStream(metrics or ("*",)))


def source(broker: Program, **more: object) -> Source[SparkplugSource]:
    way = SparkplugSource(f"mqtt://127.0.0.1:{broker.port}", "county", ("+",), timeout_seconds=5)
    return Source(SourceId("gw"), "sparkplug_device", replace(way, **more))


def connector(broker: Program, **more: object) -> SparkplugConnector:
    return SparkplugConnector(source(broker, **more))


class Reader:
    """Reads on as an agent does, and remembers everything."""

    def __init__(self, made: SparkplugConnector, *metrics: str, cursor: str | None = None) -> None:
        self.made, self.how, self.cursor = made, plan(*metrics), cursor
        self.rows: list[dict[str, object]] = []
        self.holes: list[str] = []

    def more(self) -> None:
        page = self.made.read(self.how, self.cursor)
        self.cursor = page.cursor
        self.holes += page.holes
        self.rows += page.rows.to_pylist() if page.rows is not None else []

    def until(self, seen: Callable[[], bool]) -> None:
        def look() -> bool:
            self.more()
            return seen()

        until(look, "what was expected", 20)

    def values(self, path: str) -> list[object]:
        return [row["value"] for row in self.rows if row["path"] == f"{EDGE}/{path}"]


class Ear:
    """Hears, and says, what anybody may."""

    def __init__(self, broker: Program) -> None:
        self.heard: dict[str, list[bytes]] = {}
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = lambda _c, _d, m: self.heard.setdefault(m.topic, []).append(
            m.payload
        )
        self.client.connect("127.0.0.1", broker.port)
        self.client.subscribe("#", qos=1)
        self.client.loop_start()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Program]:
    made = mosquitto(tmp_path)
    made.start()
    yield made
    made.kill()


def test_what_files_say_is_read() -> None:
    said = Fields({"url": "mqtt://x", "host_id": "county"}, Path("agent.yaml"))
    assert sparkplug.way_of(said) == SparkplugSource("mqtt://x", "county", ("+",))
    said = Fields({"metrics": ["a*"]}, Path("preset.yaml"))
    assert sparkplug.stream_of(said) == SparkplugStream(("a*",))
    told = Fields({"url": "mqtt://reader:hush@x", "host_id": "county"}, Path("agent.yaml"))
    with pytest.raises(ConfigurationError, match="holds a user") as caught:
        sparkplug.way_of(told)
    assert "hush" not in str(caught.value)


def test_without_its_library_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "connectors.wires.mqtt", raising=False)
    monkeypatch.delattr("connectors.wires.mqtt", raising=False)
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'nplusx\[sparkplug\]'"):
        SparkplugConnector(Source(SourceId("gw"), "x", SparkplugSource("mqtt://x", "h", ("+",))))


@pytest.mark.real_system
class TestBroker:
    """What only a broker and an edge node tell."""

    def test_births_data_and_deaths_of_a_real_edge_node(self, broker: Program) -> None:
        ear, made = Ear(broker), connector(broker)
        with closing(made):
            reader = Reader(made)
            reader.more()
            node = EdgeNode(broker)
            node.tell("birth", "press1", ("temp", "Double", 20.5), ("state", "String", "idle"))
            for number in range(20):
                node.tell("data", "press1", ("temp", "Double", 21.0 + number))
            reader.until(lambda: len(reader.values("press1/temp")) >= 21)
            assert reader.values("press1/temp") == ["20.5", *(f"{21.0 + n}" for n in range(20))]
            assert reader.holes == []
            state = json.loads(ear.heard["spBv1.0/STATE/county"][-1])
            assert state["online"] is True
            node.kill()
            reader.until(lambda: reader.values("press1/temp")[-1] is None)
            last = reader.rows[-1]
            assert (last["status"], last["message"], last["value_before"] is None) == (
                "stale", "NDEATH", False,
            )  # fmt: skip
        until(lambda: b'"online":false' in ear.heard["spBv1.0/STATE/county"][-1], "we said goodbye")
        ear.close()

    def test_who_comes_late_or_misses_a_message_asks_for_a_rebirth(self, broker: Program) -> None:
        node = EdgeNode(broker)
        with closing(Ear(broker)) as ear:
            node.tell("birth", "press1", ("temp", "Double", 20.5), ("state", "String", "idle"))
            birth = "spBv1.0/工厂A/DBIRTH/line1/press1"
            until(lambda: birth in ear.heard, "the device is born before we come")
        with closing(connector(broker)) as made:
            reader = Reader(made)
            reader.more()
            node.tell("data", "press1", ("temp", "Double", 21.0))
            # The state never changed since we are here: only a birth tells it.
            reader.until(lambda: "idle" in reader.values("press1/state"))
            until(lambda: "reborn" in node.said, "it was asked to be born anew")
            node.tell("skip")
            node.tell("data", "press1", ("temp", "Double", 22.0))
            reader.until(lambda: bool(reader.holes))
            assert "1 messages are missing" in reader.holes[0]
        node.kill()

    def test_aliases_and_stored_values_pass(self, broker: Program) -> None:
        with closing(connector(broker)) as made, closing(Ear(broker)) as ear:
            reader = Reader(made)
            reader.more()
            until(lambda: "spBv1.0/STATE/county" in ear.heard, "the host is there")

            def say(kind: str, seq: int, *metrics: Metric) -> None:
                body = encode(Payload(metrics, 1_717_228_800_000 + seq, seq))
                ear.client.publish(f"spBv1.0/{EDGE.replace('/', f'/{kind}/')}", body)

            say("NDATA", 7, Metric(alias=5, raw=1.5))
            ask = "spBv1.0/工厂A/NCMD/line1"
            until(lambda: ask in ear.heard, "a rebirth is asked for")
            (wish,) = decode(ear.heard[ask][0]).metrics
            assert (wish.name, wish.raw, wish.datatype) == ("Node Control/Rebirth", True, 11)
            ear.client.publish(f"spBv1.0/{EDGE.replace('/', '/NDATA/')}", b"\xff garbage")
            say("NBIRTH", 0, Metric("power", 5, None, 10, raw=2.5))
            say("NDATA", 1, Metric(alias=5, raw=3.5))
            say("NDATA", 2, Metric(alias=5, timestamp=1000, is_historical=True, raw=0.5))
            say("NDATA", 3, Metric(alias=5, raw=4.5))
            reader.until(lambda: len(reader.rows) >= 5)
        assert reader.values("power") == ["1.5", "2.5", "3.5", "0.5", "4.5"]
        assert [row["value_before"] for row in reader.rows] == [None, "1.5", "2.5", None, "3.5"]
        assert [row["is_historical"] for row in reader.rows] == [False] * 3 + [True, False]
        assert ["no Sparkplug payload" in each for each in reader.holes] == [True]

    def test_a_broker_that_restarts_is_read_on_and_the_hole_told(self, broker: Program) -> None:
        node = EdgeNode(broker)
        with closing(connector(broker)) as made:
            reader = Reader(made)
            reader.more()
            node.tell("birth", "press1", ("temp", "Double", 20.5))
            reader.until(lambda: bool(reader.values("press1/temp")))
            broker.kill()

            def is_told() -> bool:
                try:
                    reader.more()
                except DependencyUnavailableError:
                    return True
                return False

            until(is_told, "the loss is told")
            broker.start()
            until(lambda: node.said.count("born") == 2, "the edge node is back")

            def back() -> bool:
                node.tell("data", "press1", ("temp", "Double", 30.0))
                try:
                    reader.more()
                except DependencyUnavailableError:
                    return False
                return "30.0" in reader.values("press1/temp")

            until(back, "data come again")
        assert any("nothing was heard from" in each for each in reader.holes)
        # Another run of the agent knows when it was last here.
        with closing(connector(broker)) as made:
            again = Reader(made, cursor=reader.cursor)
            again.until(lambda: any("nothing was heard" in each for each in again.holes))
        broker.kill()
        with closing(connector(broker)) as made:
            again = Reader(made, cursor=reader.cursor)
            # It is away until the broker is there, which nobody knows yet.
            with pytest.raises(DependencyUnavailableError):
                again.more()
            assert again.holes == []
        node.kill()

    def test_what_cannot_be_taken_is_a_hole_and_another_connection(
        self, broker: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        node = EdgeNode(broker)
        with closing(connector(broker)) as made:
            reader = Reader(made)
            reader.more()
            node.tell("birth", "press1", ("temp", "Double", 20.5))
            reader.until(lambda: bool(reader.values("press1/temp")))
            with monkeypatch.context() as patch:
                odd = Event()

                def fail(*_said: object) -> None:
                    odd.set()
                    raise KeyError

                patch.setattr(Host, "handle", fail)
                node.tell("data", "press1", ("temp", "Double", 30.0))
                assert odd.wait(10)

            def back() -> bool:
                node.tell("data", "press1", ("temp", "Double", 31.0))
                with suppress(DependencyUnavailableError):
                    reader.more()
                return "31.0" in reader.values("press1/temp")

            until(back, "data come again")
        assert any("nothing was heard from" in each for each in reader.holes)
        node.kill()

    def test_a_full_buffer_is_a_hole_and_asks_for_births(self, broker: Program) -> None:
        node = EdgeNode(broker)
        node.tell("birth", "press1", ("temp", "Double", 20.5))
        with closing(connector(broker, buffer_rows=5)) as made, closing(Ear(broker)) as ear:
            reader = Reader(made)
            reader.more()
            for number in range(50):
                node.tell("data", "press1", ("temp", "Double", float(number)))
            topic = f"spBv1.0/{EDGE.replace('/', '/DDATA/')}/press1"
            until(lambda: len(ear.heard.get(topic, [])) >= 50, "all was published")

            def told() -> bool:
                node.tell("data", "press1", ("temp", "Double", 99.0))
                return any("`buffer_rows` full" in each for each in reader.holes)

            reader.until(told)
        node.kill()

    def test_a_wrong_password_or_broker_is_named(self, tmp_path: Path) -> None:
        made = mosquitto(tmp_path, users=True)
        made.start()
        with closing(connector(made, user="reader", password="reader")) as good:  # noqa: S106
            Reader(good).more()
        with (
            closing(connector(made, user="reader", password="hush")) as bad,  # noqa: S106
            pytest.raises(ConfigurationError, match="refuses the user or the password") as caught,
        ):
            Reader(bad).more()
        assert "hush" not in str(caught.value)
        made.kill()
        with (
            closing(connector(made)) as silent,
            pytest.raises(DependencyUnavailableError, match="cannot be reached"),
        ):
            Reader(silent).more()
        with (
            closing(connector(made, url="http://x")) as odd,
            pytest.raises(ConfigurationError, match="mqtt://host"),
        ):
            Reader(odd).more()

    def test_what_is_discovered_can_be_read(self, broker: Program) -> None:
        node = EdgeNode(broker)
        node.tell("birth", "press1", ("temp", "Double", 20.5))
        with closing(connector(broker, timeout_seconds=2)) as made:
            Reader(made).more()
            node.tell("data", "press1", ("temp", "Double", 21.0))
            (offer,) = made.discover()
        assert (offer.name, offer.how) == ("temp", {"metrics": ["temp"]})
        node.kill()

    @pytest.mark.parametrize("how", [{}, {"is_trial": True}, {"guest": "certify"}], ids=str)
    def test_who_tries_a_source_leaves_the_agent_that_reads_it_alone(
        self, broker: Program, how: dict[str, object]
    ) -> None:
        node = EdgeNode(broker)
        with closing(connector(broker)) as made, closing(Ear(broker)) as ear:
            reader = Reader(made)
            reader.more()
            node.tell("birth", "press1", ("temp", "Double", 20.5))
            reader.until(lambda: bool(reader.values("press1/temp")))
            tried = replace(source(broker, timeout_seconds=2), **how)
            with closing(SparkplugConnector(tried)) as trial:

                def is_tried() -> bool:
                    node.tell("data", "press1", ("temp", "Double", 21.0))
                    if how:
                        return trial.read(plan(), None).rows is not None
                    return trial.sample(plan()).rows is not None

                until(is_tried, "a sample")
            reader.until(lambda: "21.0" in reader.values("press1/temp"))
            said = ear.heard["spBv1.0/STATE/county"]
            assert [json.loads(each)["online"] for each in said] == [True]
        assert reader.holes == []
        node.kill()

    def test_states_of_the_sample_preset_land(
        self, broker: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World(tmp_path, monkeypatch)
        source = (
            f"- id: gw\n  preset: sparkplug_device\n  url: mqtt://127.0.0.1:{broker.port}\n"
            "  host_id: county\n"
        )
        with closing(agent_of(world, tmp_path, source, STATE)) as agent:
            agent.round()
            node = EdgeNode(broker)
            node.tell("birth", "EQ01", ("state", "String", "idle"), ("temp", "Double", 1.0))

            def ever() -> int:
                report = agent.round()
                assert report.is_clean, report
                return report.streams[0].rows_ever

            until(lambda: ever() >= 1, "the first state")
            node.tell("data", "EQ01", ("state", "String", "running"))
            until(lambda: ever() >= 3, "the change of state")
            node.kill()
        rows = sorted(landed(world, STATE), key=lambda row: (row["started_at"], row["updated_at"]))
        assert [(row["equipment_code"], row["state"]) for row in rows[:3]] == [
            ("EQ01", "idle"), ("EQ01", "idle"), ("EQ01", "running"),
        ]  # fmt: skip
        assert rows[0]["started_at"] == rows[1]["started_at"]
        assert rows[1]["ended_at"] == rows[2]["started_at"]

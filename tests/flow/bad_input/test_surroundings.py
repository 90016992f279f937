"""A taken port, a silent broker, a source that refuses: what is said, and the rerun."""

import socket
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from bus.kafka import KafkaSender
from connectors.registry import find
from tests.broker import free_port, running_broker
from tests.flow.bad_input.command import Shell, agent_file, beside
from tests.pipeline.world import World, row
from tests.servers import PostgresServer, running


def test_a_taken_port_is_named_by_its_setting_and_nothing_is_left(tmp_path: Path) -> None:
    names = ("KAFKA_PORT", "KAFKA_CONTROLLER_PORT", "AIRFLOW_PORT", "PORTAL_PORT")
    variables = {f"NPLUSX_{name}": str(free_port()) for name in names}
    variables["NPLUSX_STATE_DIR"] = str(tmp_path / "state")
    with socket.create_server(("127.0.0.1", int(variables["NPLUSX_AIRFLOW_PORT"]))):
        done = beside("up", **variables)
    done.failed(2, f"Port {variables['NPLUSX_AIRFLOW_PORT']}", "set NPLUSX_AIRFLOW_PORT")
    beside("status", **variables).failed(4, "Nothing runs")
    assert beside("down", "--purge", **variables).code == 0
    assert not (tmp_path / "state").exists()


@pytest.mark.kafka
def test_a_silent_broker_is_named_and_a_rerun_lands(world: World, tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    with running_broker(tmp_path / "kafka") as broker:
        variables = {
            "NPLUSX_STATE_DIR": str(world.settings.state_dir),
            "NPLUSX_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        }
        assert beside("land", **variables).code == 0  # makes the topics
        with closing(KafkaSender(broker.bootstrap, 15.0)) as sender:
            world.bus.sender = lambda: sender  # type: ignore[method-assign]
            world.send("erp.payment.v1", row("erp.payment.v1"))
        broker.stop()
        for words in (("land",), ("land", "--contract", "erp.payment.v1")):
            beside(*words, **variables).failed(4, "Kafka does not answer", broker.bootstrap)
        told = beside("doctor", **variables)
        told.failed(4, "Kafka does not answer", "start the broker")
        assert "stream\tproduced" in told.out
        broker.start()
        assert "rows_landed\t1" in beside("land", **variables).out
        assert beside("doctor", **variables).code == 0


@pytest.mark.real_system
def test_a_source_that_refuses_or_is_down_is_named_without_its_password(
    tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(PostgresServer) as server:
        with psycopg.connect(server.address("postgres"), autocommit=True) as database:
            database.execute("create role reader login password 'right'")
        url = f"postgresql://reader:${{NPLUSX_U8}}@127.0.0.1:{server.port}/postgres"
        words = ("connector", "check", str(agent_file(tmp_path, url)))
        monkeypatch.setenv("NPLUSX_U8", "wrong-secret")
        refused = shell(*words)
        count = len(find("yonyou_u8").streams)
        refused.failed(1, f"{count} of {count} streams have a problem")
        assert "refuses the user or the password" in refused.out
        assert "wrong-secret" not in refused.out + refused.err
        monkeypatch.setenv("NPLUSX_U8", "right")
        unknown = shell(*words)
        unknown.failed(1)
        assert "has no such table" in unknown.out
        server.stop()
        down = shell(*words)
        down.failed(1)
        assert "check that the database runs" in down.out

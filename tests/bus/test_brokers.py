"""Brokers that want TLS and a user: both libraries get in, and an agent may write, not read."""

import gc
import socket
import ssl
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from bus.brokers import Login
from bus.kafka import KafkaBus
from bus.ports import Record
from kernel.errors import DependencyUnavailableError, NplusxError
from tests.broker import Broker, More, running_broker
from tests.certificates import Authority

pytestmark = [pytest.mark.kafka, pytest.mark.real_system]
TOPIC, OTHER = "nplusx.erp.payment.v1", "elsewhere"
RECORD = Record(TOPIC, b"k", b"v", (("ce_id", b"1"),))
USERS = {"admin": "of the county", "agent-1": "of the factory"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def secured(authority: Authority, name: str) -> More:
    certificate, key = authority.certify(name)
    # One file with both: that is how a broker takes PEM.
    both = certificate.with_name(f"{name}.both.pem")
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    users = " ".join(f'user_{user}="{password}"' for user, password in USERS.items())
    itself = f'username="admin" password="{USERS["admin"]}"'
    module = "org.apache.kafka.common.security.plain.PlainLoginModule required"

    def more(port: int, controller: int) -> Mapping[str, str]:
        return {
            "listeners": f"OPEN://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"OPEN://127.0.0.1:{port}",
            "listener.security.protocol.map": "OPEN:SASL_SSL,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "OPEN",
            "sasl.enabled.mechanisms": "PLAIN",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "listener.name.open.plain.sasl.jaas.config": f"{module} {itself} {users};",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(authority.file),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:admin;User:ANONYMOUS",
        }

    return more


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp("kafka")
    with running_broker(folder, secured(authority, "broker")) as started:
        yield started


@pytest.fixture
def _tidy() -> Iterator[None]:
    """Close what kafka-python leaves to the collector when it is not let in."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def login(authority: Authority, user: str) -> Login:
    return Login(True, authority.file, None, None, "PLAIN", user, USERS[user])


@pytest.fixture(scope="module")
def admin(broker: Broker, authority: Authority) -> Iterator[KafkaBus]:
    with closing(KafkaBus(broker.bootstrap, 1, 1, 15.0, login(authority, "admin"))) as bus:
        bus.ensure_topics([TOPIC, OTHER])
        bus.let_write("User:agent-1")
        # Again is as good as once.
        bus.let_write("User:agent-1")
        yield bus


def test_who_logs_in_over_tls_sends_and_reads(admin: KafkaBus) -> None:
    with closing(admin.sender()) as sender:
        assert sender.send([RECORD]) == ("",)
        # The broker writes down when it took a record: that tells its clock.
        assert sender.clock is not None
        assert abs(sender.clock.skew_seconds) <= sender.clock.bound_seconds
    with closing(admin.reader(TOPIC, {0: 0})) as reader:
        deadline = time.monotonic() + 30
        found = reader.poll(1.0).records
        while not found and time.monotonic() < deadline:
            found = reader.poll(1.0).records
    assert {(each.key, each.value) for each in found} == {(b"k", b"v")}


def test_an_agent_writes_to_our_topics_and_does_nothing_else(
    admin: KafkaBus, broker: Broker, authority: Authority
) -> None:
    with closing(KafkaBus(broker.bootstrap, 1, 1, 5.0, login(authority, "agent-1"))) as agent:
        with closing(agent.sender()) as sender:
            refused, taken = sender.send([replace(RECORD, topic=OTHER), RECORD])
            assert ("Authorization" in refused, taken) == (True, "")
        with pytest.raises(NplusxError), closing(agent.reader(TOPIC, {0: 0})) as reader:
            reader.poll(5.0)
        with pytest.raises(DependencyUnavailableError, match="registry allow"):
            agent.ensure_topics(["nplusx.new.one.v1"])


@pytest.mark.usefixtures("_tidy")
def test_a_wrong_password_is_told_with_its_cure(broker: Broker, authority: Authority) -> None:
    wrong = replace(login(authority, "agent-1"), password=USERS["admin"])
    with closing(KafkaBus(broker.bootstrap, 1, 1, 5.0, wrong)) as bus:
        with pytest.raises(DependencyUnavailableError, match="NPLUSX_KAFKA_PASSWORD_FILE") as told:
            bus.sender()
        assert USERS["admin"] not in str(told.value)


def test_brokers_that_nobody_vouches_for_are_not_believed(
    broker: Broker, authority: Authority, tmp_path: Path
) -> None:
    strange = replace(login(authority, "agent-1"), ca_file=Authority(tmp_path).file)
    with (
        closing(KafkaBus(broker.bootstrap, 1, 1, 5.0, strange)) as bus,
        pytest.raises(DependencyUnavailableError, match="NPLUSX_KAFKA_CA_FILE"),
    ):
        bus.sender()


def test_a_broker_s_certificate_that_expired_is_named(authority: Authority) -> None:
    # Kafka itself refuses to start with such a one, so it stands alone here.
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.certify("old", days=-2))
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            with suppress(OSError):
                while True:
                    taken, _ = listening.accept()
                    with suppress(OSError), context.wrap_socket(taken, server_side=True) as secure:
                        secure.recv(1)

        Thread(target=greet, daemon=True).start()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with (
            closing(KafkaBus(address, 1, 1, 5.0, login(authority, "agent-1"))) as bus,
            pytest.raises(DependencyUnavailableError, match=r"expired.*renew"),
        ):
            bus.sender()

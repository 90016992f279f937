"""The opcua kind: values with status and times, by namespace URI, across restarts of the server."""

import asyncio
import gc
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.sync import Client
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from connectors.certificates import Identity
from connectors.check import check
from connectors.fields import Fields
from connectors.kinds import opcua
from connectors.opcua_plan import Machine, OpcuaSource, OpcuaStream, Pace, Server
from kernel import clock
from kernel.errors import ConfigurationError, DependencyUnavailableError
from tests.broker import free_port
from tests.connectors.machines.landing import agent_of, landed
from tests.connectors.machines.opcua_reading import (
    ENERGY,
    LOAD,
    PRESS,
    STATE,
    Reader,
    connector,
    plan,
    running,
    url,
)
from tests.connectors.machines.opcua_server import PASSWORD, URI, USER
from tests.connectors.machines.processes import Program, until
from tests.pipeline.world import World


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("opcua")) as made:
        yield made


def write(server: Program, name: str, value: ua.DataValue) -> None:
    with Client(url(server)) as client:
        index = client.get_namespace_index(URI)
        client.get_node(ua.NodeId(name, index)).write_value(value)


def state(value: int, **more: object) -> ua.DataValue:
    return ua.DataValue(ua.Variant(value, ua.VariantType.Int32), **more)


def fields(**said: object) -> Fields:
    return Fields(said, Path("agent.yaml"))


def test_what_files_say_is_read() -> None:
    assert opcua.stream_of(fields(variables=["State"], queue_size=3)) == OpcuaStream(
        ("State",), Pace(queue_size=3)
    )
    machines = [{"code": "EQ01", "node": "i=85"}]
    said = fields(url="opc.tcp://x", machines=machines, user="u")
    assert opcua.way_of(said) == OpcuaSource(Server("opc.tcp://x", "u"), (Machine("EQ01", "i=85"),))
    with pytest.raises(ConfigurationError, match="holds a user") as caught:
        opcua.way_of(fields(url="opc.tcp://reader:hush@x", machines=machines))
    assert "hush" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="three files"):
        opcua.way_of(fields(url="opc.tcp://x", machines=machines, certificate="a.der"))


def test_without_its_library_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("opcua", "opcua_feed", "opcua_keeper", "opcua_values"):
        monkeypatch.delitem(sys.modules, f"connectors.wires.{name}", raising=False)
        monkeypatch.delattr(f"connectors.wires.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "asyncua", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'nplusx\[opcua\]'"):
        connector("opc.tcp://127.0.0.1:9")


@pytest.mark.real_system
class TestServer:
    """What only a server tells."""

    def test_a_value_comes_with_its_node_its_status_and_its_times(self, server: Program) -> None:
        with closing(connector(url(server))) as made:
            reader = Reader(made, plan("State", "Counters/*"))
            first = {row["browse_path"]: row for row in reader.until(2)}
            assert set(first) == {"State", "Counters/Good"}
            row = first["State"]
            assert (row["node"], row["machine"]) == (f"nsu={URI};s=State", "EQ01")
            assert (row["value_type"], row["status"], row["status_code"]) == ("Int32", "Good", 0)
            at = clock.now().replace(microsecond=5)
            bad = ua.StatusCode(ua.UInt32(ua.StatusCodes.BadSensorFailure))
            write(server, "State", state(4, SourceTimestamp=at))
            write(server, "State", ua.DataValue(None, bad, SourceTimestamp=at))
            good, failed = reader.until(4)[2:]
            assert (good["value"], good["number"], good["source_time"]) == ("4", 4.0, at)
            assert good["time"] == at
            assert (good["value_before"], good["time_before"]) == (row["value"], row["time"])
            assert (failed["status"], failed["value"]) == ("BadSensorFailure", None)
            assert failed["status_code"] == ua.StatusCodes.BadSensorFailure
            assert reader.holes == []

    def test_a_queue_that_ran_over_is_a_hole(self, server: Program) -> None:
        with closing(connector(url(server))) as made:
            reader = Reader(made, plan())
            reader.until(1)
            write(server, "State", state(5, StatusCode=ua.StatusCode(ua.UInt32(0x480))))
            row = reader.until(2)[-1]
            assert (row["value"], row["status"], row["status_code"]) == ("5", "Good", 0x480)
            (hole,) = reader.holes
            assert "queue of 1 variables ran over" in hole

    def test_what_is_missing_is_named_and_other_streams_go_on(self, server: Program) -> None:
        with closing(connector(url(server), PRESS, Machine("EQ09", "nsu=urn:no;s=x"))) as made:
            with pytest.raises(ConfigurationError, match="EQ01 has no variable Stat"):
                made.read(plan("Stat", contract=ENERGY), None)
            assert Reader(made, plan()).until(1)
            (finding,) = check(made, [plan()], "Asia/Shanghai")
            assert "EQ09: there is no node nsu=urn:no;s=x" in finding.problem

    def test_what_is_discovered_can_be_read(self, server: Program) -> None:
        with closing(connector(url(server))) as made:
            offers = {each.name: each for each in made.discover()}
            assert set(offers) == {"State", "Energy", "Counters", "Counters/Good"} - {"Counters"}
            assert Reader(made, plan(*offers["Energy"].how["variables"])).until(1)

    def test_it_ends_without_a_word(
        self, server: Program, caplog: pytest.LogCaptureFixture
    ) -> None:
        with closing(connector(url(server))) as made:
            Reader(made, plan()).until(1)
        # A task that nobody ended complains when it is thrown away.
        del made
        gc.collect()
        assert [each.getMessage() for each in caplog.records if each.name == "asyncio"] == []

    def test_a_host_that_is_silent_is_named(self, caplog: pytest.LogCaptureFixture) -> None:
        with (
            closing(connector("opc.tcp://127.0.0.1:9")) as made,
            pytest.raises(DependencyUnavailableError, match=r"cannot be reached.*127\.0\.0\.1:9"),
        ):
            made.read(plan(), None)
        assert caplog.messages == []


@pytest.mark.real_system
class TestRestart:
    """The server dies in the middle and comes back another one."""

    def test_nothing_is_lost_but_what_the_server_did_not_keep(self, tmp_path: Path) -> None:
        said = {"port": free_port(), "count": 50, "hertz": 20}
        with (
            running(tmp_path, **said) as first,
            closing(connector(url(first), LOAD)) as made,
        ):
            reader = Reader(made, plan("*"))
            reader.until(400)
            first.kill()
            until(lambda: not reader.more(), "the loss is told")
            before = len(reader.rows)
            # Its namespaces have other indexes now.
            with running(tmp_path, **said, shift=2):
                reader.until(before + 400)
        nodes = {str(row["node"]) for row in reader.rows}
        assert nodes == {f"nsu={URI};s=V{n}" for n in range(50)}
        for node in nodes:
            ticks = [int(str(row["value"])) for row in reader.rows if row["node"] == node]
            breaks = [(a, b) for a, b in pairwise(ticks) if b != a + 1]
            assert len(breaks) == 1, "every value of both lives, once"
        (hole,) = reader.holes
        assert "50 variables are unknown from" in hole
        assert "keeps no history" in hole

    def test_a_buffer_that_is_full_for_too_long_is_a_hole(self, tmp_path: Path) -> None:
        with (
            running(tmp_path, count=20, hertz=20) as made,
            closing(connector(url(made), LOAD, buffer_rows=40)) as slow,
        ):
            reader = Reader(slow, plan("*"))
            reader.more()
            time.sleep(1.5)
            other = Reader(slow, plan("V0", contract=ENERGY))
            # One that nobody reads leaves the others alone.
            other.until(30)
            assert other.holes == []
            until(lambda: reader.more() and bool(reader.holes), "the hole is told")
            count = len(reader.rows)
            reader.until(count + 100)
        assert "found `buffer_rows` full" in reader.holes[0]

    def test_what_the_server_kept_is_read_afterwards(self, tmp_path: Path) -> None:
        said = {"port": free_port(), "history": str(tmp_path / "history.sqlite")}
        how = plan("Counters/Good")
        with running(tmp_path, **said) as first, closing(connector(url(first))) as made:
            reader = Reader(made, how)
            reader.until(1)
        # Also an agent that was off itself asks for what it missed.
        with (
            running(tmp_path, **said, missed=20) as second,
            closing(connector(url(second))) as made,
        ):
            reader.made = made
            values = [row["value"] for row in reader.until(21)]
            time.sleep(0.3)
            reader.more()
        assert values[-20:] == [str(1000 + n) for n in range(20)]
        assert len(reader.rows) == len(values)
        assert reader.holes == []


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Identity]]:
    folder = tmp_path_factory.mktemp("secured")
    with running(folder, secure=str(folder)) as made:
        identity = certify(folder, "agent")
        yield made, replace(identity, server_certificate=str(folder / "server.der"))


def certify(folder: Path, name: str) -> Identity:
    key, certificate = folder / f"{name}.key.pem", folder / f"{name}.der"
    names, usage = {"organizationName": name}, [ExtendedKeyUsageOID.CLIENT_AUTH]
    uri = f"urn:factory:{name}"
    asyncio.run(
        setup_self_signed_certificate(key, certificate, uri, socket.gethostname(), usage, names)
    )
    return Identity(str(certificate), str(key), str(certificate))


@pytest.mark.real_system
class TestSecurity:
    """Basic256Sha256, signed and encrypted, with a user."""

    def test_a_known_user_reads_over_an_encrypted_channel(
        self, secured: tuple[Program, Identity]
    ) -> None:
        program, identity = secured
        way = Server(url(program), USER, PASSWORD, identity, 5)
        with closing(connector("", server=way)) as made:
            assert Reader(made, plan()).until(1)[0]["status"] == "Good"

    def test_files_are_read_by_what_they_hold_whatever_their_names(
        self, secured: tuple[Program, Identity], tmp_path: Path
    ) -> None:
        program, identity = secured
        ours, theirs, key = (tmp_path / each for each in ("our.crt", "their.pem", "our.key"))
        held = x509.load_der_x509_certificate(Path(identity.certificate).read_bytes())
        ours.write_bytes(held.public_bytes(Encoding.PEM))
        theirs.write_bytes(Path(identity.server_certificate).read_bytes())
        key.write_bytes(Path(identity.private_key).read_bytes())
        way = Server(url(program), USER, PASSWORD, Identity(str(ours), str(key), str(theirs)), 5)
        with closing(connector("", server=way)) as made:
            assert Reader(made, plan()).until(1)[0]["status"] == "Good"

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"password": "wrong"}, "refuses the user or the password"),
            ({"user": ""}, "user or the password|does not offer"),
            ({"identity": None}, "does not offer this security"),
        ],
    )
    def test_who_may_not_is_told_why(
        self, secured: tuple[Program, Identity], change: dict[str, object], says: str
    ) -> None:
        program, identity = secured
        way = replace(Server(url(program), USER, PASSWORD, identity, 5), **change)
        with (
            closing(connector("", server=way)) as made,
            pytest.raises(ConfigurationError, match=says) as caught,
        ):
            made.read(plan(), None)
        assert PASSWORD not in str(caught.value)

    def test_certificates_that_are_wrong_are_named(
        self, secured: tuple[Program, Identity], tmp_path: Path
    ) -> None:
        program, identity = secured
        other = certify(tmp_path, "other")
        for wrong, says in (
            (replace(identity, server_certificate=other.certificate), "another certificate than"),
            (replace(identity, certificate=str(tmp_path / "none")), "cannot be read"),
            (replace(identity, private_key=str(tmp_path / "none")), "key cannot be read"),
            (replace(identity, private_key=other.certificate), "key cannot be read"),
        ):
            way = Server(url(program), USER, PASSWORD, wrong, 5)
            with (
                closing(connector("", server=way)) as made,
                pytest.raises(ConfigurationError, match=says),
            ):
                made.read(plan(), None)

    def test_a_certificate_that_expired_is_named(
        self, secured: tuple[Program, Identity], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program, identity = secured
        later = clock.now() + timedelta(days=4000)
        monkeypatch.setattr("connectors.certificates.clock.now", lambda: later)
        way = Server(url(program), USER, PASSWORD, identity, 5)
        with (
            closing(connector("", server=way)) as made,
            pytest.raises(ConfigurationError, match=r"holds from .*agent\.der"),
        ):
            made.read(plan(), None)


@pytest.mark.real_system
def test_states_and_readings_of_the_sample_preset_land(
    server: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch)
    source = (
        f"- id: line\n  preset: opcua_machine\n  url: {url(server)}\n"
        f"  machines:\n  - {{code: EQ01, node: '{PRESS.node}'}}\n"
    )
    begun = clock.now()
    write(server, "State", state(2, SourceTimestamp=begun))
    write(server, "Energy", ua.DataValue(ua.Variant(100.25), SourceTimestamp=begun))
    with closing(agent_of(world, tmp_path, source, STATE, ENERGY)) as agent:

        def ever(place: int, count: int) -> bool:
            report = agent.round()
            assert report.is_clean, report
            return report.streams[place].rows_ever >= count

        until(lambda: ever(0, 1), "the first state")
        write(server, "State", state(4, SourceTimestamp=begun + timedelta(seconds=5)))
        until(lambda: ever(0, 3), "the change of state")
    rows = sorted(landed(world, STATE), key=lambda row: (row["started_at"], row["updated_at"]))
    assert [(row["state"], row["started_at"], row["ended_at"]) for row in rows] == [
        ("running", begun, None),
        ("running", begun, begun + timedelta(seconds=5)),
        ("fault", begun + timedelta(seconds=5), None),
    ]

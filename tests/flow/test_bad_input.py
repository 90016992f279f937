"""Bad input at the command line: one paragraph with cause and cure, an exit code, a good rerun."""

import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import structlog

from bus.kafka import KafkaSender
from pipeline.doctor import examine
from pipeline.settings import ROOT
from tests.broker import free_port, running_broker
from tests.flow.command import Shell, as_anybody, beside, full_disk
from tests.pipeline.world import CLAIM, World, play, row, send_books, send_dossier
from tests.postgres import running_server

AGENT = """agent:
  id: a1
  enterprise: 91330523719500014U
  key_file: a1.key
  outbox: a1.sqlite
source:
  id: u8
  preset: yonyou_u8
  url: {url}
"""


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    yield Shell(monkeypatch, capsys)
    # The command pointed the log to what this test captures.
    structlog.reset_defaults()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path / "state", monkeypatch)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the state folder of a played county, for copies."""
    folder = tmp_path_factory.mktemp("played")
    with pytest.MonkeyPatch.context() as monkeypatch:
        play(World(folder, monkeypatch))
    return folder


@pytest.fixture
def state(played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of a played county's state folder that may be spoilt."""
    copy = shutil.copytree(played, tmp_path / "copy")
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(copy))
    return copy


def agent_file(folder: Path, url: str) -> Path:
    path = folder / "a1.yaml"
    path.write_text(AGENT.format(url=url), "utf-8")
    return path


# --- commands out of order ---------------------------------------------------------------------


def test_an_unknown_contract_is_a_usage_error_that_lists_the_known(shell: Shell) -> None:
    shell("land", "--contract", "x").failed(2, "'x' is not a contract id")
    shell("land", "--contract", "erp.none.v1").failed(2, "erp.none.v1", "erp.sales_order.v1")


def test_a_stage_whose_input_was_never_made_says_what_to_run(world: World, shell: Shell) -> None:
    shell("measure").failed(2, "There is no table mart__", "run the stage that writes it first")
    shell("assess").failed(2, "There is no table mart__", "run the stage that writes it first")


def test_an_empty_lake_is_nothing_wrong(world: World, shell: Shell) -> None:
    for stage in ("land", "refine", "measure", "assess", "seal", "doctor"):
        assert shell(stage).code == 0, stage
    shell("explain", CLAIM).failed(2, "no decision", "run land, refine and assess first")


def test_the_doctor_makes_nothing(tmp_path: Path, world: World, shell: Shell) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert shell("doctor").code == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unknown_claim_lists_the_known(state: Path, shell: Shell) -> None:
    shell("explain", "CL-none").failed(2, "'CL-none'", f"use one of {CLAIM}.")


def test_quarantined_rows_make_a_partial_success(world: World, shell: Shell) -> None:
    good, bad = row("erp.payment.v1"), row("erp.payment.v1", payment_id="P2", payee_uscc="X")
    world.send("erp.payment.v1", good, bad)
    done = shell("land")
    done.failed(3, "1 rows went to quarantine")
    assert shell("land").code == 0


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("agent: [1\n", "line 2"),
        (AGENT + "agent: {{}}\n", "the key 'agent' occurs twice"),
        (AGENT + "speed: 1\n", "`speed` is not a key here"),
        (AGENT.replace("id: a1", "id: [a1]"), "`agent.id` must be a text"),
        (AGENT.replace("id: a1", "id: 2024-13-45"), "month must be in"),
        (AGENT.replace("00014U", "00014X"), "unified social credit code"),
        (AGENT.replace("yonyou_u8", "none_such"), "use one of nplusx_registry, yonyou_u8"),
        (AGENT, "The agent's key cannot be read"),
        ("? [1]\n: 2\n", "cannot be a key"),
        ("[" * 5000, "nested too deeply"),
        ("a: &a [1]\nb: [*a, *a]\n", "an alias (*name) is not allowed. Where:"),
        ("- agent\n", "must hold a mapping"),
        ("\0", "not valid YAML"),
    ],
)
def test_a_wrong_agent_file_is_named_with_what_is_wrong(
    tmp_path: Path, shell: Shell, text: str, says: str
) -> None:
    path = tmp_path / "a1.yaml"
    path.write_text(text.replace("{url}", "sqlite:///x.db").replace("{{}}", "{}"), "utf-8")
    shell("agent", "run", str(path)).failed(2, says)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, shell: Shell) -> None:
    shell("agent", "run", str(tmp_path / "none.yaml")).failed(2, "no such file", "none.yaml")
    shell("agent", "status", str(tmp_path)).failed(2, "Is a directory", str(tmp_path))
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    shell("agent", "status", str(tmp_path / "bytes.yaml")).failed(2, "not UTF-8")


def test_a_wrong_key_file_or_outbox_is_named(tmp_path: Path, shell: Shell) -> None:
    path = agent_file(tmp_path, "sqlite:///x.db")
    (tmp_path / "a1.key").write_text("xx", "utf-8")
    shell("agent", "run", str(path)).failed(2, "not a signing key", "a1.key")
    shell("agent", "key", str(tmp_path / "a1.key")).failed(2, "never replaced")
    (tmp_path / "a1.key").unlink()
    assert shell("agent", "key", str(tmp_path / "a1.key")).code == 0
    (tmp_path / "a1.sqlite").write_text("no database at all, but long enough for one", "utf-8")
    shell("agent", "run", str(path)).failed(2, "This is not an outbox", "a1.sqlite")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:${NPLUSX_NONE}@127.0.0.1/x", "no variable 'NPLUSX_NONE'"),
        ("nonsense", "dialect://user@host/database"),
        ("oracle://u@127.0.0.1/x", "no driver"),
    ],
)
def test_a_wrong_source_address_is_a_usage_error(
    tmp_path: Path, shell: Shell, url: str, says: str
) -> None:
    shell("connector", "check", str(agent_file(tmp_path, url))).failed(2, says)


# --- settings, keys, registry ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_PORT", "many"),
        ("KAFKA_PARTITIONS", "0"),
        ("KAFKA_HEAP_MB", "1"),
        ("LAND_COMMIT_SECONDS", "nan"),
        ("LOG_LEVEL", "loud"),
        ("LOG_JSON_LINES", "maybe"),
    ],
)
def test_a_wrong_setting_is_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"NPLUSX_{name}", value)
    shell("refine").failed(2, f"NPLUSX_{name} is not usable", "or unset it")


def test_a_place_that_can_hold_no_tables_is_named(
    world: World, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPLUSX_LAKE_URI", "nonsense://x")
    shell("doctor").failed(2, "nonsense://x", "NPLUSX_LAKE_URI")
    monkeypatch.setenv("NPLUSX_LAKE_URI", "/dev/null/lake")
    shell("refine").failed(4, "/dev/null/lake", "NPLUSX_LAKE_URI")
    monkeypatch.delenv("NPLUSX_LAKE_URI")
    assert shell("refine").code == 0


@pytest.mark.parametrize("text", [b"", b"xx", b"\xff\xfe"])
def test_a_corrupted_county_key_seals_nothing_and_is_never_replaced(
    state: Path, world: World, shell: Shell, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(state))
    key = state / "keys" / "county.key"
    kept = key.read_bytes()
    key.write_bytes(text)
    shutil.rmtree(state / "lake" / "ledger")
    shell("seal").failed(2, str(key))
    assert key.read_bytes() == text
    key.write_bytes(kept)
    assert shell("seal").code == 0
    assert shell("doctor").code == 0


def test_another_county_key_is_noticed_as_tampering(
    state: Path, world: World, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(state))
    (state / "keys" / "county.key").unlink()
    shell("doctor").failed(5, "Entry 1 of the ledger")


def test_a_registry_of_a_newer_version_is_left_alone(state: Path, shell: Shell) -> None:
    shutil.rmtree(state / "lake" / "ledger")
    with sqlite3.connect(state / "registry.sqlite") as database:
        (known,) = database.execute("select version_num from alembic_version").fetchone()
        database.execute("update alembic_version set version_num = '9999'")
    shell("seal").failed(2, "version 9999", "registry.sqlite", "install the newer nplusx")
    with sqlite3.connect(state / "registry.sqlite") as database:
        database.execute("update alembic_version set version_num = ?", (known,))
    assert shell("seal").code == 0


def test_a_registry_that_is_no_database_is_named(state: Path, shell: Shell) -> None:
    shutil.rmtree(state / "lake" / "ledger")
    for beside_it in state.glob("registry.sqlite-*"):
        beside_it.unlink()
    (state / "registry.sqlite").write_text("garbage" * 100, "utf-8")
    shell("seal").failed(4, "not a database", "registry.sqlite")


# --- the disk ----------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 1_500, 5_000])
def test_a_full_disk_loses_nothing_and_doubles_nothing(
    world: World, shell: Shell, room: int
) -> None:
    send_books(world)
    send_dossier(world)
    with full_disk(room):
        done = shell("land")
        assert done.code == 4, done
        assert "nothing that was landed is lost" in done.err
    assert shell("land").code == 0
    health = examine(world.settings)
    assert health.findings == ()
    assert sum(each.landed for each in health.streams) == 19
    assert shell("land").code == 0
    assert sum(each.produced for each in examine(world.settings).streams) == 19


def test_every_stage_goes_on_once_there_is_room(world: World, shell: Shell) -> None:
    send_books(world)
    send_dossier(world)
    world.land()
    for stage in ("refine", "measure", "assess", "seal"):
        with full_disk(400):
            shell(stage).failed(4)
        assert shell(stage).code == 0, stage
    assert [path.suffix for path in (world.settings.state_dir / "packs").iterdir()] == [".zip"]
    pack = next((world.settings.state_dir / "packs").iterdir())
    assert shell("verify", str(pack)).code == 0
    assert shell("doctor").code == 0


def test_what_may_not_be_looked_at_never_passes_for_empty(state: Path) -> None:
    lake = state / "lake"
    lake.chmod(0)
    try:
        for words in (("seal",), ("explain", CLAIM), ("doctor",), ("refine",)):
            done = beside(*words, before=as_anybody, NPLUSX_STATE_DIR=str(state))
            done.failed(4, str(lake), "permission")
    finally:
        lake.chmod(0o755)
    done = beside("explain", CLAIM, before=as_anybody, NPLUSX_STATE_DIR=str(state))
    assert done.code == 0, done.err


def test_a_data_file_that_may_not_be_read_is_named(state: Path) -> None:
    hidden = next((state / "lake" / "decision").glob("*.parquet"))
    hidden.chmod(0)
    done = beside("explain", CLAIM, before=as_anybody, NPLUSX_STATE_DIR=str(state))
    done.failed(4, hidden.name, "permission")
    hidden.chmod(0o644)
    assert beside("explain", CLAIM, NPLUSX_STATE_DIR=str(state)).code == 0


def test_a_state_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    variables = {"NPLUSX_STATE_DIR": str(closed / "state")}
    for words, code in ((("refine",), 4), (("up",), 2)):
        beside(*words, before=as_anybody, **variables).failed(code, str(closed))


# --- what is outside ---------------------------------------------------------------------------


def test_a_taken_port_is_named_by_its_setting_and_nothing_is_left(tmp_path: Path) -> None:
    names = ("KAFKA_PORT", "KAFKA_CONTROLLER_PORT", "SOURCE_PORT", "AIRFLOW_PORT", "PORTAL_PORT")
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
    with running_server() as server:
        with psycopg.connect(server.address("postgres"), autocommit=True) as database:
            database.execute("create role reader login password 'right'")
            (rules,) = database.execute("show hba_file").fetchone() or ("",)
            rule = "host all all 127.0.0.1/32 scram-sha-256"
            database.execute(f"copy (select '{rule}') to '{rules}'")  # type: ignore[call-overload]
            database.execute("select pg_reload_conf()")
        url = f"postgresql://reader:${{NPLUSX_U8}}@127.0.0.1:{server.port}/postgres"
        words = ("connector", "check", str(agent_file(tmp_path, url)))
        monkeypatch.setenv("NPLUSX_U8", "wrong-secret")
        refused = shell(*words)
        refused.failed(1, "6 of 6 streams have a problem")
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


@pytest.mark.parametrize("words", [("land",), ("doctor",)])
def test_ctrl_c_ends_a_command_that_waits(tmp_path: Path, words: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(60)
        waiting = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *words],
            cwd=ROOT,
            env={
                "NPLUSX_STATE_DIR": str(tmp_path),
                "NPLUSX_KAFKA_PORT": str(mute.getsockname()[1]),
                "NPLUSX_KAFKA_TIMEOUT_SECONDS": "60",
            },
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        # It knocks, then speaks to a broker that never answers.
        with mute.accept()[0], mute.accept()[0]:
            waiting.send_signal(signal.SIGINT)
            _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    assert "Traceback" not in said


@pytest.mark.parametrize("words", [("connector", "list"), ("explain", CLAIM), ("--help",)])
def test_a_reader_that_goes_away_is_no_trouble(state: Path, words: tuple[str, ...]) -> None:
    saying = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *words],
        cwd=ROOT,
        env={"NPLUSX_STATE_DIR": str(state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert saying.stdout is not None
    saying.stdout.close()
    assert saying.stderr is not None
    assert saying.stderr.read() == ""
    saying.stderr.close()
    assert saying.wait(60) in {0, 1}

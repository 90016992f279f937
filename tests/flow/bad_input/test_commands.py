"""Commands out of order, wrong files, an impatient person: what is said, and the exit code."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bus.topics import topic_of
from pipeline.settings import ROOT
from tests.flow.bad_input.command import AGENT, Shell, agent_file
from tests.pipeline.world import CLAIM, World, row


def test_an_unknown_contract_is_a_usage_error_that_names_those_near_it(shell: Shell) -> None:
    shell("land", "--contract", "x").failed(2, "'x' is not a contract id")
    shell("land", "--contract", "erp.sales_ordr.v1").failed(
        2, "erp.sales_ordr.v1", "erp.sales_order.v1", "nplusx contract list"
    )


def test_the_trouble_of_one_contract_is_not_that_of_the_others(world: World, shell: Shell) -> None:
    lost, well = "erp.customer.v1", "erp.payment.v1"
    world.send(lost, row(lost))
    world.land()
    for part in (0, 1):
        world.bus.log_of(topic_of(lost), part).clear()
    world.send(well, row(well))
    shell("land", "--contract", lost, "--contract", well).failed(4, f"{lost}:", "lost records")
    assert world.store.open("landing__erp_payment_v1").dataset().count_rows() == 1


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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("agent: [1\n", "line 2"),
        (AGENT + "agent: {{}}\n", "the key 'agent' occurs twice"),
        (AGENT + "speed: 1\n", "`speed` is not a key here"),
        (AGENT.replace("id: a1", "id: [a1]"), "`agent.id` must be a text"),
        (AGENT.replace("id: a1", "id: 2024-13-45"), "month must be in"),
        (AGENT.replace("00014U", "00014X"), "unified social credit code"),
        (
            AGENT.replace("yonyou_u8", "none_such"),
            "nplusx_registry, nplusx_registry_cdc, ",
        ),
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

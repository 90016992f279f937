"""`nplusx quarantine` as a platform engineer runs it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from kernel.evidence import SigningKey
from pipeline import wiring
from registry.keys import save_key
from tests.flow.bad_input.command import Shell
from tests.pipeline.world import AGENTS, LONG_AGO, World, row
from tests.rows import FACTORY

CONTRACT = "erp.payment.v1"
LATE_KEY = SigningKey(b"\x09" * 32)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A factory that sent a bad row, and a good one with a key that nobody knows."""
    made = World(tmp_path / "state", monkeypatch)
    made.send(CONTRACT, row(CONTRACT, payment_id="P1", payee_uscc="91330523719500014X"))
    made.keys = {**made.keys, FACTORY: LATE_KEY}
    made.send(CONTRACT, row(CONTRACT, payment_id="P2"))
    made.land()
    return made


@pytest.fixture
def nplusx(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    yield Shell(monkeypatch, capsys)
    structlog.reset_defaults()


def held(nplusx: Shell, *words: str) -> list[dict[str, object]]:
    done = nplusx("quarantine", "list", "--json", *words)
    assert done.code == 0
    return [json.loads(line) for line in done.out.splitlines()]


def test_the_list_can_be_narrowed(nplusx: Shell) -> None:
    assert len(held(nplusx)) == 2
    assert [each["reasons"] for each in held(nplusx, "--reason", "signature.key")] == [
        ["signature.key"]
    ]
    assert held(nplusx, "--contract", "erp.delivery.v1") == []
    assert held(nplusx, "--state", "waived") == []
    plain = nplusx("quarantine", "list")
    assert "payee_uscc.format" in plain.out


def test_a_row_is_shown_as_it_was_sent_with_its_reasons_in_words(nplusx: Shell) -> None:
    (bad,) = held(nplusx, "--reason", "payee_uscc.format")
    done = nplusx("quarantine", "show", str(bad["id"])[:12])
    assert '"payment_id":"P1"' in done.out
    assert "校验位" in done.out
    nplusx("quarantine", "show", "zzz").failed(2, "zzz", "nplusx quarantine list")


def test_what_is_good_by_now_lands_and_the_rest_is_named(nplusx: Shell, world: World) -> None:
    save_key(wiring.registry(world.settings), AGENTS[FACTORY], LATE_KEY.public, LONG_AGO)
    nplusx("quarantine", "replay").failed(3, "1 rows are still refused; 1 landed")
    (left,) = held(nplusx)
    assert (left["state"], left["reasons"]) == ("rejected", ["payee_uscc.format"])
    assert nplusx("doctor").code == 0


def test_a_waiver_says_who_why_and_until_when(nplusx: Shell) -> None:
    (bad,) = held(nplusx, "--reason", "payee_uscc.format")
    name = str(bad["id"])[:12]
    words = ("quarantine", "waive", name, "--who", "engineer", "--why", "closed down", "--until")
    nplusx(*words, "soon").failed(2, "soon", "2026-12-31")
    assert nplusx(*words, "2099-12-31").code == 0
    (waived,) = held(nplusx, "--state", "waived")
    word = waived["word"]
    assert isinstance(word, dict)
    assert (word["who"], word["why"]) == ("engineer", "closed down")
    nplusx("quarantine", "replay").failed(3, "1 rows")
    assert held(nplusx, "--state", "waived") == [waived]


@pytest.mark.parametrize("command", ["replay", "list"])
def test_a_contract_that_is_none_is_said_with_those_that_are_near(
    nplusx: Shell, command: str
) -> None:
    nplusx("quarantine", command, "--contract", "erp.paymet.v1").failed(2, "erp.payment.v1")
    nplusx("quarantine", command, "--contract", "nope").failed(2, "nope")

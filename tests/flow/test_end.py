"""Stopping and starting again: nothing is left behind, nothing happens twice."""

import signal

import pytest

from pipeline import wiring
from tests.flow.outcome import decision
from tests.flow.stage import PLAYED, Demo

pytestmark = [pytest.mark.kafka, pytest.mark.airflow, pytest.mark.real_system]


def test_ctrl_c_ends_every_process_and_a_second_start_repeats_nothing() -> None:
    made = Demo()
    try:
        made.start()
        made.wait_for(PLAYED, 400)
        first = decision(made.settings())
        assert made.process is not None
        for words in (("demo", "--exit"), ("up",)):
            second = made.run(*words)
            assert second.returncode == 2
            assert f"process {made.process.pid}" in second.stderr
        assert made.run("status").returncode == 0
        assert made.process.poll() is None
        made.process.send_signal(signal.SIGINT)
        assert made.process.wait(timeout=120) in {0, 130}
        assert made.leftovers() == []

        made.start("--exit")
        assert made.process.wait(timeout=300) == 0, made.said()
        assert made.leftovers() == []
        assert decision(made.settings()) == first
        store = wiring.store(made.settings())
        assert store.open("decision").dataset().count_rows() == 1
        assert store.open("ledger").dataset().count_rows() == 1

        up = made.run("up")
        assert up.returncode == 0, up.stderr
        assert made.run("status").returncode == 0
        assert made.run("down").returncode == 0
        assert made.run("status").returncode == 4
        assert made.leftovers() == []
        assert made.run("down", "--purge").returncode == 0
        assert not made.state.exists()
    finally:
        made.clear()

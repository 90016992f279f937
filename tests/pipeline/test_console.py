"""What a person sees of a long command."""

import io
import sys

import pytest

from kernel import clock
from pipeline import console


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the test say how late it is."""
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    return now


def test_in_a_pipe_progress_is_a_line_now_and_then_with_what_is_left(
    seconds: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    with console.progress("land · x", "records", 1000) as on_commit:
        seconds[0] = 1.0
        on_commit({"records": 100, "rows": 200})
        assert said.getvalue() == ""
        seconds[0] = 20.0
        on_commit({"records": 100, "rows": 200})
        seconds[0] = 21.0
        on_commit({"records": 100, "rows": 200})
    assert said.getvalue() == (
        "land · x: 200 of 1,000 records · 400 rows · 20 rows/s · 0:01:20 left\n"
    )


def test_without_an_end_a_pipe_is_told_no_more_than_the_rate(
    seconds: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    with console.progress("land", "records") as on_commit:
        seconds[0] = 20.0
        on_commit({"records": 0, "rows": 200})
    assert said.getvalue() == "land: 0 records · 200 rows · 10 rows/s\n"


def test_on_a_terminal_the_time_that_is_left_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    said = Terminal()
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with console.progress("land · x", "records", 1000) as on_commit:
        on_commit({"records": 100, "rows": 200})
        on_commit({"records": 100, "rows": 200})
    assert "200/1,000 records" in said.getvalue()
    assert "left" in said.getvalue()

"""A shell to try commands in."""

from collections.abc import Iterator

import pytest
import structlog

from tests.flow.bad_input.command import Shell


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    yield Shell(monkeypatch, capsys)
    # The command pointed the log to what this test captures.
    structlog.reset_defaults()

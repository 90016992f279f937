"""What every test has: its turn, and a guard against the network outside marked tests."""

import signal
import socket

import pytest

_MAY_CONNECT = {"kafka", "airflow", "real_system", "browser"}
# Whoever started the tests may have told them to ignore these: what they start would inherit that.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)
_LONGEST = (
    "test_story.py",
    "test_county.py",
    "test_onboarding.py",
    "test_embedded.py",
    "test_races.py",
)


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections from tests that do not say that they need one."""
    if not _MAY_CONNECT & {mark.name for mark in request.node.iter_markers()}:

        def refuse(_self: socket.socket, address: object) -> None:
            raise AssertionError(f"an unmarked test connects to {address}")

        monkeypatch.setattr(socket.socket, "connect", refuse)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that at the end no process waits for another's."""
    items.sort(key=lambda each: [*_LONGEST, each.path.name].index(each.path.name))

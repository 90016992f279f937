"""A source's clock is compared with the agent's, now and then, and one that is off is told."""

import pytest
from typing_extensions import override

from connectors.base import Connector
from kernel import clock
from kernel.errors import DependencyUnavailableError
from kernel.ids import SourceId
from kernel.skew import Clock
from pipeline.skew import Clocks


class Device(Connector[object]):
    """A source of which only the clock matters."""

    asked = 0
    told: Clock | str | Exception = "It does not tell the time."

    @override
    def clock(self) -> Clock | str:
        self.asked += 1
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


@pytest.mark.parametrize(
    ("told", "text", "is_far"),
    [
        (Clock(7200.0, 0.5), "+7200.000 s against ours, ± 0.500 s", True),
        (Clock(-301.0, 0.5), "-301.000 s against ours, ± 0.500 s", True),
        (Clock(-301.0, 2.0), "-301.000 s against ours, ± 2.000 s", False),
        ("It does not tell the time.", "It does not tell the time.", False),
        (DependencyUnavailableError("It is away"), "not told: It is away", False),
        (KeyError("x"), "not told: KeyError", False),
    ],
)
def test_what_a_clock_says_has_a_bound_or_a_reason(
    told: Clock | str | Exception, text: str, is_far: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    device = Device()
    device.told = told
    (found,) = Clocks().compare({SourceId("plc"): device})
    assert (found.text, found.is_far) == (text, is_far)
    assert ("clocks are apart" in "".join(capfd.readouterr())) == is_far


def test_a_clock_is_asked_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    device, clocks = Device(), Clocks()
    for at in (100.0, 200.0, 3600.0, 3800.0, 7300.0):
        now[0] = at
        assert len(clocks.compare({SourceId("plc"): device})) == 1
    assert device.asked == 2


def test_the_county_s_clock_is_told_and_warned_of_once(capfd: pytest.CaptureFixture[str]) -> None:
    clocks = Clocks()
    for each in (None, Clock(1.0, 0.1), Clock(900.0, 0.1), Clock(901.0, 0.1), None):
        clocks.hear(each)
    (found,) = clocks.compare({})
    assert (found.source, found.text) == ("county", "+901.000 s against ours, ± 0.100 s")
    assert "".join(capfd.readouterr()).count("clocks are apart") == 1

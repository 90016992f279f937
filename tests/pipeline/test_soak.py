"""The slope of a process's memory: steep or level, sure or not."""

import pytest

from pipeline.soak import slope

MB = 1 << 20


def test_a_line_is_found_behind_the_warm_up() -> None:
    # It fills its caches for a quarter, then grows by one MB a minute.
    samples = [(t * 60.0, (200 if t < 10 else 500 + t) * MB) for t in range(40)]
    found = slope(samples)
    assert found
    assert (found.mb_per_hour, found.error) == (pytest.approx(60), pytest.approx(0, abs=1e-6))
    assert found.grown_mb == pytest.approx(29)
    assert found.exceeds(59, 28)
    assert not found.exceeds(61, 28)
    assert not found.exceeds(59, 30)


def test_what_only_wavers_does_not_grow() -> None:
    found = slope([(t * 1.0, (100 + 20 * (t % 2)) * MB) for t in range(60)])
    assert found
    assert found.error > 0
    assert not found.exceeds(0, 0)


@pytest.mark.parametrize("samples", [[], [(1.0, MB)] * 5, [(1.0, MB)] * 50])
def test_too_little_tells_nothing(samples: list[tuple[float, int]]) -> None:
    assert slope(samples) is None

"""Metrics: the same figures as chart and table, one's own line for a factory."""

import html
import json
import re

import pytest

from portal.pages.metrics import _without_gaps
from tests.portal.conftest import LogIn
from tests.portal.county import NAME, OTHER, OTHER_NAME
from tests.rows import FACTORY

Series = dict[str, list[float | None]]


def drawn(text: str) -> tuple[list[str], Series]:
    """Read what the chart will draw."""
    found = re.search(r'data-chart="([^"]*)"', text)
    assert found
    data = json.loads(html.unescape(found.group(1)))
    assert data["unit"] == "ratio"
    return data["periods"], {each["name"]: each["values"] for each in data["series"]}


@pytest.mark.parametrize("name", ["engineer", "auditor", "leader"])
def test_the_county_sees_a_line_for_each_factory(as_user: LogIn, name: str) -> None:
    text = as_user(name).get("/metrics").text
    periods, series = drawn(text)
    assert periods == [f"2023-{month:02}" for month in range(7, 13)]
    assert set(series) == {NAME, OTHER_NAME}
    assert series[OTHER_NAME] == [1, 0, 1, 0, 1, 0]
    # No promise in November: a gap, not a zero.
    assert [value is None for value in series[NAME]] == [False] * 4 + [True, False]
    assert series[NAME][3] == 0.5
    assert "准时交付率" in text
    assert "按承诺交期足量发货的订单行数 ÷ 订单行数" in text
    assert "50.00%" in text
    assert "2024-01-01" in text


@pytest.mark.parametrize(
    ("name", "own", "others"),
    [("factory", NAME, [OTHER, OTHER_NAME]), ("neighbour", OTHER_NAME, [FACTORY, NAME])],
)
def test_a_factory_sees_its_own_line(
    as_user: LogIn, name: str, own: str, others: list[str]
) -> None:
    text = as_user(name).get("/metrics").text
    assert set(drawn(text)[1]) == {own}
    assert not any(html.escape(other) in text or other in text for other in others)


def test_a_factory_user_without_a_factory_sees_no_figures(as_user: LogIn) -> None:
    text = as_user("nobody").get("/metrics").text
    assert "还没有可计算的指标。" in text
    assert "data-chart" not in text


def test_in_english_too(as_user: LogIn) -> None:
    inside = as_user("leader")
    inside.post("/language", {"csrf": inside.token("/metrics"), "back": "/metrics"})
    assert "On-time delivery" in inside.get("/metrics").text


@pytest.mark.parametrize(
    ("periods", "filled"),
    [
        ([], []),
        (["2023-11", "2024-02"], ["2023-11", "2023-12", "2024-01", "2024-02"]),
        (["2023"], ["2023"]),
        (["2023-11", "2023-Q4"], ["2023-11", "2023-Q4"]),
    ],
)
def test_months_between_are_filled_in(periods: list[str], filled: list[str]) -> None:
    assert _without_gaps(periods) == filled

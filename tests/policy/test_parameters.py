"""Parameters begin on their day, name their reference and are texts."""

from datetime import date
from pathlib import Path

import pytest

from kernel.errors import ConfigurationError
from policy.parameters import load

GOOD = """
share:
  title: {zh: 比例, en: Share}
  values:
    2024-01-01: {value: "0.30", metadata: {unit: ratio, reference: 第二条, status: in_force}}
    2023-01-01: {value: "0.25", metadata: {unit: ratio, reference: 第一条, status: in_force}}
"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "a01.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("day", "value"),
    [
        (date(2023, 1, 1), "0.25"),
        (date(2023, 12, 31), "0.25"),
        (date(2024, 1, 1), "0.30"),
        (date(2099, 1, 1), "0.30"),
    ],
)
def test_a_value_holds_from_its_day_to_the_next_ones(tmp_path: Path, day: date, value: str) -> None:
    assert load(_file(tmp_path, GOOD))["share"].value_on(day).text == value


def test_the_day_before_the_first_value_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no value on 2022-12-31"):
        load(_file(tmp_path, GOOD))["share"].value_on(date(2022, 12, 31))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("reference: 第一条, ", "", "`reference` is missing"),
        ("status: in_force}}\n    2023", "status: maybe}}\n    2023", "'maybe' is no status"),
        ('"0.25"', "0.25", "is not a text"),
        ('"0.25"', '"a quarter"', "is no ratio"),
        ("unit: ratio, reference: 第一条", "unit: cm, reference: 第一条", "'cm' is no unit"),
        ("2023-01-01:", '"2023":', "no first day"),
        ("zh: 比例, ", "", "`zh` is missing"),
        ("2024-01-01:", "2023-01-01:", "occurs twice"),
        ("share:", "share: []\nother:", "mapping is missing"),
        ('value: "0.25"', 'value: "0.25", readings: "0.5"', "not a list"),
        ('value: "0.25"', 'value: "0.25", readings: ["x"]', "is no ratio"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError, match=complaint):
        load(_file(tmp_path, GOOD.replace(old, new)))


def test_a_parameter_without_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no value"):
        load(_file(tmp_path, "share:\n  title: {zh: 比例, en: Share}\n  values: {}\n"))

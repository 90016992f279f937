"""Formats: each accepts what is so, refuses what is nearly so, and judges alike one by one."""

import re

import pyarrow as pa
import pytest

from contracts.formats import FORMATS, iso_days

GOOD = {
    "uscc": ["91330523719500014U", "91110000600037341L", "91330521MA2B3K7P07"],
    "einvoice": ["24332000000000000001"],
    "invoice": ["24332000000000000001", "033002300111" + "12345678", "3300231130" + "12345678"],
    "industry": ["C2130", "A0111", "T9700", "C4390", "C1311", "B1200", "D4411"],
    "region": ["330523", "110101", "710000", "820000"],
    "period": ["2024", "2024-01", "2024-12", "1999"],
}
BAD = {
    "uscc": ["91330523719500014X", "9133052371950001U", "91330523719500014u", "91330523I19500014U"],
    "einvoice": ["2433200000000000000", "243320000000000000012", "2433200000000000000A"],
    "invoice": ["12345678", "2433200000000000001", "033002300111-12345678"],
    "industry": ["C4411", "C12", "C2", "C213", "2130", "c2130", "U9800", "D4390", "C21300"],
    "region": ["3305", "160000", "000000", "910000", "33052A", "3305230"],
    "period": ["2024-13", "2024-00", "2024-1", "24-01", "202401", "2024-01-01", "2024年"],
}


def masks(name: str, texts: list[str | None]) -> list[bool | None]:
    found: list[bool | None] = FORMATS[name].broken(pa.array(texts, pa.string())).to_pylist()
    return found


def test_every_format_has_its_cases_and_both_titles() -> None:
    assert set(FORMATS) == set(GOOD) == set(BAD)
    assert all(each.title.zh and each.title.en for each in FORMATS.values())


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_accepts_what_is_so_and_refuses_what_is_nearly_so(name: str) -> None:
    assert masks(name, [*GOOD[name]]) == [False] * len(GOOD[name])
    assert masks(name, [*BAD[name]]) == [True] * len(BAD[name])
    assert all(FORMATS[name].holds(text) for text in GOOD[name])
    assert not any(FORMATS[name].holds(text) for text in BAD[name])


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_ascii_and_ends_where_it_ends(name: str) -> None:
    good = GOOD[name][0]
    wide = good.translate({ord("0") + n: ord("\uff10") + n for n in range(10)})
    for text in (good + "\n", "\n" + good, " " + good, wide, ""):
        assert masks(name, [text]) == [True], repr(text)
        assert not FORMATS[name].holds(text), repr(text)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_no_fault_of_a_format(name: str) -> None:
    assert masks(name, [None, GOOD[name][0]])[0] in {None, False}
    assert masks(name, []) == []


def days(*texts: str | None) -> list[str | None]:
    found: list[str | None] = iso_days(pa.array(texts, pa.string())).to_pylist()
    return found


def test_days_as_chinese_systems_write_them_are_read() -> None:
    written = (
        "2024-03-05", "20240305", "2024/3/5", "2024/03/05", "2024.3.5", "2024年3月5日",
        "2024年03月05日", "2024-03-05 00:00:00", "2024-03-05T00:00:00.000",
    )  # fmt: skip
    assert days(*written) == ["2024-03-05"] * len(written)
    assert days("20241231", "2024/12/31", "2024年12月31日", None) == ["2024-12-31"] * 3 + [None]


@pytest.mark.parametrize(
    "text",
    [
        "3/5/2024", "2024/3", "2024/3-5", "2024/3.5", "240305", "2024年3月5", "2024-003-05",
        "2024-03-05 08:00:00", "2024/3/5\n", "202403051", "2024/003/5", "2024\uff0f3\uff0f5", "",
    ],
)  # fmt: skip
def test_what_could_be_another_day_or_none_does_not_become_one(text: str) -> None:
    (found,) = days(text)
    assert found is not None
    assert not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", found)

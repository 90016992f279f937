"""No name leaves a factory: the same person has the same pseudonym, which nobody else can make."""

import base64
from pathlib import Path

import pyarrow as pa
import pytest

from connectors.pseudonyms import Key, cover, read_key
from contracts.loader import all_contracts
from kernel.errors import ConfigurationError

KEY, OTHER = Key(b"k" * 32), Key(b"o" * 32)


def rows(*names: str | None) -> pa.Table:
    return pa.table({"worker_code": pa.array(names, pa.string()), "n": range(len(names))})


def test_the_same_person_is_the_same_and_another_key_tells_nothing() -> None:
    told = cover(rows("张三", "李四", None, "张三"), ["worker_code"], KEY)[
        "worker_code"
    ].to_pylist()
    assert told[0] == told[3] != told[1]
    assert told[2] is None
    assert all(each.startswith(f"hmac:{KEY.id}:") for each in told if each)
    assert not any("张" in each or "三" in each for each in told if each)
    other = cover(rows("张三"), ["worker_code"], OTHER)["worker_code"].to_pylist()
    assert other[0] not in told
    # What looks like one already is a name like any other: nobody slips past.
    again = cover(rows(told[0]), ["worker_code"], KEY)["worker_code"].to_pylist()
    assert again != told[:1]


def test_other_columns_and_empty_ones_stay() -> None:
    given = rows(None, None)
    assert cover(given, ["worker_code", "inspector_code"], None) == given
    assert cover(rows("x"), ["inspector_code"], None) == rows("x")


def test_without_a_key_nothing_leaves() -> None:
    with pytest.raises(ConfigurationError, match="worker_code names persons"):
        cover(rows("张三"), ["worker_code"], None)


def test_codes_that_are_numbers_are_covered_too() -> None:
    given = pa.table({"worker_code": pa.array([7, None, 7])})
    told = cover(given, ["worker_code"], KEY)["worker_code"].to_pylist()
    assert told == KEY.cover(["7", None, "7"])


def test_a_pseudonym_fits_every_column_that_names_persons() -> None:
    personal = [
        each
        for contract in all_contracts().values()
        for each in contract.properties
        if each.classification == "personal"
    ]
    assert personal
    longest = len(str(KEY.cover(["x"])[0]))
    for each in personal:
        assert each.limits.max_length is None or each.limits.max_length >= longest


@pytest.mark.parametrize("text", ["", "???", base64.b64encode(b"short").decode()])
def test_a_key_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="key for pseudonyms"):
        read_key(path)
    with pytest.raises(ConfigurationError, match="key for pseudonyms"):
        read_key(tmp_path / "none")


def test_a_key_of_an_agent_serves(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(base64.b64encode(KEY.raw).decode() + "\n")
    assert read_key(path) == KEY

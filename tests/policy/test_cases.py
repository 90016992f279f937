"""Runs each clause's cases: sentences beside numbers, a file for each clause."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from kernel import yaml
from kernel.errors import ConfigurationError
from policy.engine import programmes, rule_on
from policy.lang import Facts

CASES = Path(__file__).parent


def _fact(value: object) -> bool | Decimal:
    assert isinstance(value, bool | str), f"quote the amount {value!r}"
    return value if isinstance(value, bool) else Decimal(value)


def _cases() -> Iterator[object]:
    for name, programme in programmes().items():
        for clause in programme.wordings:
            file = yaml.load_mapping(CASES / name / f"{clause}.yaml")
            for case in file["cases"]:
                facts = {**file["given"], **case.get("facts", {})}
                yield pytest.param(
                    (name, clause),
                    {key: _fact(value) for key, value in facts.items()},
                    case.get("day", file["day"]),
                    case["grants"],
                    id=case["says"],
                )


@pytest.mark.parametrize(("clause", "facts", "day", "grants"), list(_cases()))
def test_clause_grants(clause: tuple[str, str], facts: Facts, day: date, grants: str) -> None:
    programme = programmes()[clause[0]]
    if grants == "none in force":
        with pytest.raises(ConfigurationError, match="No wording"):
            rule_on(programme, clause[1], facts, day)
    else:
        assert str(rule_on(programme, clause[1], facts, day).value) == grants

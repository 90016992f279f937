"""Runs each clause's cases: sentences beside numbers, a file for each clause."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from kernel import yaml
from policy.engine import apply, programmes
from policy.lang import Case, Facts

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
    wording = programme.wording_on(clause[1], day)
    if grants == "none in force":
        assert wording is None
    else:
        assert wording is not None
        case = Case(facts, programme.parameters_of(clause[1]), day)
        assert str(apply(wording, case)) == grants

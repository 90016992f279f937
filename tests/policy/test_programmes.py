"""What folders declare is what clauses and rules read; the law stands as it was printed."""

import ast
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import policy
from kernel import yaml
from kernel.errors import ConfigurationError
from policy.engine import apply, programmes, ruling
from policy.lang import Case
from policy.parameters import load
from tests.policy.samples import DAY

POLICY = Path(policy.__file__).parent
FOLDER = POLICY / "programmes" / "anji_2023"
CLAUSE = FOLDER / "clauses" / "a09_nplusx_retrofit.py"
RULES = sorted((POLICY / "verification").glob("r[0-9][0-9]_*.py"))
READS = {"parameter", "date_of", "names_in", "choice"}


def _read(files: list[Path], methods: set[str]) -> Iterator[str]:
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in methods
                and isinstance(node.args[0], ast.Constant)
            ):
                yield str(node.args[0].value)


def test_facts_declared_are_facts_read() -> None:
    declared = set(yaml.load_mapping(FOLDER / "facts.yaml"))
    assert declared == set(_read([CLAUSE], {"holds", "amount"})), "correct facts.yaml"


def test_parameters_declared_are_parameters_read() -> None:
    declared = set(load(FOLDER / "parameters" / "a09.yaml"))
    files = [CLAUSE, *RULES, POLICY / "verification" / "books.py"]
    assert declared == set(_read(files, READS)), "correct parameters/a09.yaml"


@pytest.mark.parametrize("file", [CLAUSE, *RULES], ids=lambda file: file.stem)
def test_no_number_but_nought_and_one_stands_in_clause_or_rule(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    dates = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "date"
        for argument in node.args
    }
    numbers = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and id(node) not in dates
    }
    assert numbers <= {0, 1}, "move it to parameters/, with its day and reference"


def test_on_any_day_of_a_clause_exactly_one_wording_holds() -> None:
    for programme in programmes().values():
        for clause, wordings in programme.wordings.items():
            day = min(each.in_force.first for each in wordings)
            end = max(each.in_force.end or DAY for each in wordings)
            while day < end:
                assert programme.wording_on(clause, day) is not None, f"{clause} has a gap on {day}"
                day += timedelta(days=1)


def test_a_ruling_of_the_clause_alone_carries_its_words_and_trace() -> None:
    facts: dict[str, bool | Decimal] = {
        "is_above_scale": False,
        "is_accepted": True,
    }
    programme, name = programmes()["anji_2023"], "a09_nplusx_retrofit"
    wording, case = programme.wording_on(name, DAY), Case(facts, programme.parameters_of(name), DAY)
    assert wording is not None
    found = ruling(wording, case, apply(wording, case), ())
    assert found.text.startswith("全力支持规上企业数字化改造")
    assert [read.name for read in found.trace] == ["is_above_scale"]


def test_a_case_says_which_fact_or_parameter_is_missing() -> None:
    case = Case({"amount": Decimal(1), "truth": True}, {}, DAY)
    for read, complaint in (
        (lambda: case.holds("nothing"), "fact nothing is not given"),
        (lambda: case.holds("amount"), "not true or false"),
        (lambda: case.amount("truth"), "not an amount"),
        (lambda: case.parameter("nothing"), "no parameter nothing"),
    ):
        with pytest.raises(ConfigurationError, match=complaint):
            read()


def test_a_programme_names_the_clause_that_it_lacks() -> None:
    with pytest.raises(ConfigurationError, match="0 clauses named peace"):
        programmes()["anji_2023"].clause_named("peace")

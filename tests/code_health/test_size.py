"""Small files, small functions: a cap on the tail, by house rule 16."""

import ast
from pathlib import Path

import pytest

from tests.code_health.tree import PACKAGES, ROOT, python_files

_FILE, _FUNCTION, _DAG, _CLAUSE = 400, 50, 60, 25


def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", python_files(*PACKAGES, "tests"), ids=str)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    most = _DAG if path.parts[0] == "dags" and len(path.parts) == 2 else _FILE
    assert len(text.splitlines()) <= most, f"{path}: split it; {most} lines are the cap"
    cap = _CLAUSE if "clauses" in path.parts else _FUNCTION
    if "migrations" in path.parts:
        return  # Alembic writes one function for a whole version
    long = [f.name for f in _functions(ROOT / path) if (f.end_lineno or 0) - f.lineno + 1 > cap]
    assert not long, f"{path}: shorten {long}; {cap} lines are the cap"


@pytest.mark.parametrize("path", python_files("policy/programmes"), ids=str)
def test_a_clause_holds_no_number(path: Path) -> None:
    if "clauses" not in path.parts:
        return
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    spans = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "date"
        for inner in ast.walk(node)
    }
    numbers = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
        and node.value not in {0, 1}
        and id(node) not in spans
    ]
    assert not numbers, f"{path}: move {numbers} to parameters/ with first day and reference"

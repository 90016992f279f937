"""A pack names the code that decides: all of it."""

import ast
from collections.abc import Iterator

from pipeline import pack
from tests.code_health.tree import PACKAGES, ROOT

# What turns a signed record into rows, rows into facts, and facts into a decision.
DECIDES = (
    "pipeline.admission",
    "pipeline.opening",
    "contracts.gate",
    "warehouse.tables",
    "warehouse.engines.duck",
    "pipeline.dossier",
    "policy.decision",
)
# A pack brings keys and registrations of its own: where the county keeps them decides nothing.
KEEPS = {"registry/database.py", "registry/models.py", "registry/people.py"}


def _imported(module: str, seen: set[str]) -> Iterator[str]:
    """Follow our imports down."""
    name = module.replace(".", "/") + ".py"
    if name in seen or not (ROOT / name).is_file():
        return
    seen.add(name)
    yield name
    for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in PACKAGES:
            for inner in (node.module, *(f"{node.module}.{each.name}" for each in node.names)):
                yield from _imported(str(inner), seen)


def test_all_code_that_takes_part_in_a_decision_is_named_with_its_digest() -> None:
    seen: set[str] = set()
    reached = {name for module in DECIDES for name in _imported(module, seen)}
    missing = reached - KEEPS - pack.code_files().keys()
    assert not missing, f"add {sorted(missing)} to _CODE in pipeline/pack.py"


def test_the_same_files_are_the_same_bytes() -> None:
    files = {"b": b"2", "a": b"1"}
    assert pack.archive(files) == pack.archive(dict(sorted(files.items())))

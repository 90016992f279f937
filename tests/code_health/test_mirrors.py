"""Trees mirror each other, and being in a folder is being registered."""

import os
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from contracts.loader import all_contracts
from kernel.registry import files_in
from pipeline import STAGES
from tests.code_health.tree import PACKAGES, ROOT, python_files

SUPPRESSIONS = 13
# Contracts that vendors may send from the first day and that no preset reads yet.
WITHOUT_PRESET = 12


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_function_a_dag_a_test_a_page(stage: str) -> None:
    for path in (
        f"pipeline/{stage}.py",
        f"dags/{stage}.py",
        f"tests/pipeline/test_{stage}.py",
        f"docs/stages/{stage}.md",
    ):
        assert (ROOT / path).is_file(), f"add {path}"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_installed_distribution_shadows_a_package_of_ours(package: str) -> None:
    owners = set(metadata.packages_distributions().get(package, [])) - {"nplusx"}
    assert not owners, f"{owners} also brings a package named {package}"
    assert not any((ROOT / "dags" / f"{package}.py").exists() for _ in [0])


@pytest.mark.parametrize("package", PACKAGES)
def test_an_init_holds_a_docstring_and_nothing_else(package: str) -> None:
    for path in files_in(ROOT / package, "__init__.py"):
        lines = path.read_text(encoding="utf-8").split('"""')
        rest = lines[-1].strip()
        assert not rest or rest.startswith("STAGES ="), f"{path}: keep it bare"


def test_every_contract_that_names_another_names_one_that_exists() -> None:
    known = all_contracts()
    for contract in known.values():
        for column in contract.properties:
            if column.reference:
                assert column.reference.contract in known, f"{contract.id}.{column.name}"
                target = known[column.reference.contract]
                assert column.reference.column in {each.name for each in target.properties}


def test_contracts_without_a_preset_only_get_fewer() -> None:
    presets = "".join(p.read_text("utf-8") for p in files_in(ROOT / "connectors", "*.yaml"))
    missing = [identity for identity in all_contracts() if f"{identity}" not in presets]
    assert len(missing) <= WITHOUT_PRESET, f"no preset in connectors/presets/ emits {missing}"


def test_every_page_has_its_template_and_test() -> None:
    for path in python_files("portal/pages"):
        if path.name == "__init__.py":
            continue
        assert (ROOT / f"tests/portal/test_{path.name}").is_file(), (
            f"add tests/portal/test_{path.name}"
        )


def test_suppressions_only_go_down() -> None:
    found = [
        f"{path}:{number}"
        for path in python_files(*PACKAGES)
        for number, line in enumerate((ROOT / path).read_text("utf-8").splitlines(), 1)
        if re.search(r"# (noqa|type: ignore)", line)
    ]
    assert len(found) <= SUPPRESSIONS, f"{len(found)} suppressions: {found}; mend, do not silence"


def test_no_text_of_a_machine_or_a_package_index_is_in_the_repository() -> None:
    forbidden = re.compile(
        "|".join(
            (
                "/ro" + "ot/",
                "/ho" + "me/[a-z]",
                "index" + "-url +http",
                "/opt/" + "wheels",
            )
        )
    )
    skipped = {".lock", ".js", ".svg", ".png"}
    for path in _tracked():
        if path.suffix not in skipped and path.is_file():
            found = forbidden.search(path.read_text("utf-8", errors="replace"))
            assert not found, f"{path.relative_to(ROOT)} holds {found and found.group()}"


def test_the_lock_has_hashes_and_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in text
    assert "--" + "index" not in text
    blocks = re.findall(r"^[a-z0-9][^\n]*==[^\n]*(?:\n +--hash=[^\n]*)*", text, re.MULTILINE)
    assert len(blocks) > 100
    assert all("--hash=sha256:" in block for block in blocks)


def _tracked() -> Iterator[Path]:
    """Give the repository's own files; what tools leave beside them may go at any time."""
    ignored = {".git", ".venv", ".state", "artefacts", ".hypothesis"}
    for folder, below, names in os.walk(ROOT):
        below[:] = [each for each in below if each not in ignored and "cache" not in each]
        yield from (Path(folder, each) for each in names if not each.endswith(".pyc"))

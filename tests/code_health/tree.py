"""Where the house's files are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "kernel", "contracts", "connectors", "bus", "warehouse", "registry", "policy", "pipeline",
    "dags", "portal", "county",
)  # fmt: skip


def python_files(*folders: str) -> list[Path]:
    """List the Python files of folders, relative to the root."""
    return sorted(
        path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py")
    )

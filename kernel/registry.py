"""Being in a folder is being registered: finds what a folder of ours holds."""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType


def modules_in(package: ModuleType) -> dict[str, ModuleType]:
    """Import every module of a package, by its name."""
    return {
        found.name: importlib.import_module(f"{package.__name__}.{found.name}")
        for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda each: each.name)
    }


def files_in(folder: Path, pattern: str) -> tuple[Path, ...]:
    """List the files of a folder tree that match, in a fixed order."""
    return tuple(sorted(folder.rglob(pattern)))

"""Being in a folder is being registered: finds what a folder of ours holds."""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType


def modules_in(package: ModuleType) -> dict[str, ModuleType]:
    """Import every module of a package, by its name."""
    return {name: module_in(package, name) for name in names_in(package)}


def names_in(package: ModuleType) -> tuple[str, ...]:
    """Name the modules of a package, in a fixed order."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(package.__path__)))


def module_in(package: ModuleType, name: str) -> ModuleType:
    """Import one of them."""
    return importlib.import_module(f"{package.__name__}.{name}")


def files_in(folder: Path, pattern: str) -> tuple[Path, ...]:
    """List the files of a folder tree that match, in a fixed order."""
    return tuple(sorted(folder.rglob(pattern)))

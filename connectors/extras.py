"""Libraries that not every factory needs come as extras of the installation."""

from collections.abc import Iterator
from contextlib import contextmanager

from kernel.errors import ConfigurationError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Say how to install what an import inside of this misses."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"Sources of the kind {name} need {missing.name}, which is not installed.",
            cure=f"pip install 'nplusx[{name}]'",
        ) from missing

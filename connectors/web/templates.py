"""Requests as presets write them: texts with named places to be filled, and nothing else."""

import re
from collections.abc import Iterator, Mapping

from kernel.errors import ConfigurationError

Value = str | int | list[str]
_PLACE = re.compile(r"\{([a-z_]+)\}")


def fill(template: object, values: Mapping[str, Value]) -> object:
    """Put values into a template, however deep; a place that stands alone keeps its type."""
    if isinstance(template, dict):
        return {name: fill(each, values) for name, each in template.items()}
    if isinstance(template, list | tuple):
        return [fill(each, values) for each in template]
    if not isinstance(template, str):
        return template
    if (alone := _PLACE.fullmatch(template)) and alone.group(1) in values:
        return values[alone.group(1)]
    return _PLACE.sub(lambda found: str(values.get(found.group(1), found.group(0))), template)


def fill_texts(template: Mapping[str, str], values: Mapping[str, Value]) -> dict[str, str]:
    """Fill a mapping of texts."""
    return {name: str(fill(each, values)) for name, each in template.items()}


def places(template: object) -> Iterator[str]:
    """Name the places of a template."""
    if isinstance(template, dict):
        for each in template.values():
            yield from places(each)
    elif isinstance(template, list | tuple):
        for each in template:
            yield from places(each)
    elif isinstance(template, str):
        yield from _PLACE.findall(template)


def require_known(template: object, known: set[str], where: str) -> None:
    """Complain of a place that nothing fills."""
    if odd := sorted(set(places(template)) - known):
        raise ConfigurationError(
            f"Nothing fills {{{odd[0]}}}.",
            where=where,
            cure=f"use one of {', '.join(sorted(known))}." if known else "write the value itself.",
        )

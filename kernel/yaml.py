"""The one door to YAML: refuses a key that occurs twice and says where a file is wrong."""

from collections.abc import Hashable
from pathlib import Path

import yaml
from typing_extensions import override

from kernel.errors import ConfigurationError


class _StrictLoader(yaml.SafeLoader):
    """A safe loader for which a repeated key is an error, and so is a repeated part."""

    @override
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        # Nine lines of aliases unfold to gigabytes; none of our files needs one.
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "an alias (*name) is not allowed", self.get_mark()
            )
        return super().compose_node(parent, index)


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Hashable, object]:
    pairs: dict[Hashable, object] = {}
    for key_node, value_node in node.value:
        key: object = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(
                None, None, "a list or a mapping cannot be a key", key_node.start_mark
            )
        if key in pairs:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} occurs twice", key_node.start_mark
            )
        pairs[key] = loader.construct_object(value_node, deep=True)
    return pairs


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse(text: str, where: str) -> object:
    """Read YAML text; a mistake names the line."""
    try:
        loaded: object = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # _StrictLoader is a SafeLoader
    except yaml.MarkedYAMLError as broken:
        line = f", line {broken.problem_mark.line + 1}" if broken.problem_mark else ""
        raise _invalid(broken.problem, where + line) from broken
    except (yaml.YAMLError, ValueError) as broken:
        raise _invalid(broken, where) from broken
    except RecursionError as broken:
        raise _invalid("it is nested too deeply", where) from broken
    return loaded


def _invalid(why: object, where: str) -> ConfigurationError:
    return ConfigurationError(
        f"This is not valid YAML: {why}.", where=where, cure="correct it and run again."
    )


def load(path: Path) -> object:
    """Read a YAML file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as missing:
        raise ConfigurationError(
            "There is no such file.", where=str(path), cure="check the path."
        ) from missing
    except UnicodeDecodeError as broken:
        raise ConfigurationError(
            "The file is not UTF-8 text.", where=str(path), cure="save it as UTF-8."
        ) from broken
    except OSError as failed:
        raise ConfigurationError(
            f"The file cannot be read: {failed.strerror}.",
            where=str(path),
            cure="name a file that this account may read.",
        ) from failed
    return parse(text, str(path))


def load_mapping(path: Path) -> dict[str, object]:
    """Read a YAML file whose top level must be a mapping."""
    loaded = load(path)
    if not isinstance(loaded, dict):
        raise ConfigurationError(
            "The file must hold a mapping of keys to values.",
            where=str(path),
            cure="start it with `key: value` lines.",
        )
    return {str(key): value for key, value in loaded.items()}


class _PlainDumper(yaml.SafeDumper):
    """Writes texts of many lines as a person does."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_PlainDumper.add_representer(str, _text)


def dump(value: object) -> str:
    """Write YAML as a person does, keys in their order."""
    text: str = yaml.dump(
        value, Dumper=_PlainDumper, allow_unicode=True, sort_keys=False, width=110
    )
    return text

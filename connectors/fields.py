"""Reads a YAML mapping key by key: unknown, missing and mistyped keys are named with the cure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from kernel.errors import ConfigurationError


class Fields:
    """A mapping of a file; `done` complains of the keys that nobody asked for."""

    def __init__(self, values: Mapping[str, object], path: Path, inside: str = "") -> None:
        self._values, self._path, self._inside = dict(values), path, inside
        self._asked: set[str] = set()

    def _name(self, key: str) -> str:
        return f"{self._inside}.{key}" if self._inside else key

    @property
    def where(self) -> str:
        """Name the place in the file."""
        return f"{self._path}, {self._inside}" if self._inside else str(self._path)

    def _take(self, key: str, kind: str) -> object:
        self._asked.add(key)
        if self._values.get(key) is None:
            raise ConfigurationError(
                f"`{self._name(key)}` is missing.",
                where=str(self._path),
                cure=f"add `{self._name(key)}` with a {kind}.",
            )
        return self._values[key]

    def _wrong(self, key: str, kind: str) -> ConfigurationError:
        return ConfigurationError(
            f"`{self._name(key)}` must be a {kind}.",
            where=str(self._path),
            cure=f"give `{self._name(key)}` a {kind}.",
        )

    def text(self, key: str, default: str | None = None) -> str:
        """Read a text."""
        if default is not None and key not in self._values:
            self._asked.add(key)
            return default
        value = self._take(key, "text")
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(key, "text (in quotes, if it looks like a number)")
        return value

    def file(self, key: str, default: str | None = None) -> str:
        """Read the path of a file or a folder; a relative one begins where this file lies."""
        told = self.text(key, default)
        return str(self._path.absolute().parent / told) if told else told

    def address(self, key: str) -> str:
        """Read a URL without a user or a password, for addresses are shown."""
        value = self.text(key)
        if "@" in value:
            raise ConfigurationError(
                f"`{self._name(key)}` holds a user or a password.",
                where=str(self._path),
                cure="give them as `user` and `password`, and the address without them.",
            )
        return value

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """Read one of some texts."""
        value = self.text(key, default)
        if value not in choices:
            raise self._wrong(key, f"text out of {', '.join(choices)}")
        return value

    def decimal(self, key: str, default: Decimal) -> Decimal:
        """Read an exact number, which stands in quotes or is whole."""
        if key not in self._values:
            self._asked.add(key)
            return default
        value = self._take(key, "number in quotes")
        try:
            number = Decimal(value) if isinstance(value, str | int) else Decimal("NaN")
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            raise self._wrong(key, "number in quotes")
        return number

    def whole(
        self, key: str, default: int | None = None, least: int = 1, most: int | None = None
    ) -> int:
        """Read a whole number; mostly one above zero."""
        if default is not None and key not in self._values:
            self._asked.add(key)
            return default
        value = self._take(key, "whole number")
        until = "" if most is None else f" to {most}"
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, f"whole number from {least}{until}")
        if value < least or (most is not None and value > most):
            raise self._wrong(key, f"whole number from {least}{until}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Read true or false."""
        if key not in self._values:
            self._asked.add(key)
            return default
        value = self._take(key, "true or false")
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Read a list of texts."""
        if default is not None and key not in self._values:
            self._asked.add(key)
            return default
        value = self._take(key, "list of texts")
        if isinstance(value, list):
            found = tuple(each for each in value if isinstance(each, str) and each)
            if found and len(found) == len(value):
                return found
        raise self._wrong(key, "list of texts")

    def names(self, key: str) -> dict[str, str]:
        """Read a mapping from texts to texts; nothing is an empty one."""
        if key not in self._values:
            self._asked.add(key)
            return {}
        value = self._take(key, "mapping of texts")
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise self._wrong(key, "mapping of texts")
        return {str(name): str(each) for name, each in value.items()}

    def tree(self, key: str) -> dict[str, object]:
        """Read a mapping of whatever, for somebody else to understand; nothing is an empty one."""
        if key not in self._values:
            self._asked.add(key)
            return {}
        value = self._take(key, "mapping")
        if not isinstance(value, dict):
            raise self._wrong(key, "mapping")
        return {str(name): each for name, each in value.items()}

    def section(self, key: str) -> "Fields":
        """Read a mapping inside this one."""
        value = self._take(key, "mapping")
        if not isinstance(value, dict):
            raise self._wrong(key, "mapping")
        named = {str(name): each for name, each in value.items()}
        return Fields(named, self._path, self._name(key))

    def optional(self, key: str) -> "Fields | None":
        """Read a mapping inside this one, if it is there."""
        self._asked.add(key)
        return self.section(key) if key in self._values else None

    def anything(self, key: str) -> object:
        """Read whatever stands there; nothing may."""
        self._asked.add(key)
        return self._values.get(key)

    def sections(self, key: str, usual: str = "") -> "tuple[Fields, ...]":
        """Read a list of mappings; what all would say may stand once, under another key."""
        shared = self.anything(usual) or {}
        if not isinstance(shared, dict):
            raise self._wrong(usual, "mapping")
        value = self._take(key, "list of mappings")
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self._wrong(key, "list of mappings")
        return tuple(
            Fields({**shared, **each}, self._path, f"{self._name(key)}[{at}]")
            for at, each in enumerate(value)
        )

    def done(self) -> None:
        """Complain of a key that means nothing: it was meant to mean something."""
        unknown = sorted(set(self._values) - self._asked)
        if unknown:
            raise ConfigurationError(
                f"`{self._name(unknown[0])}` is not a key here.",
                where=str(self._path),
                cure=f"remove it, or use one of {', '.join(sorted(self._asked))}.",
            )

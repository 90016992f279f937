"""Numbers and readings of law by date, each with its reference; without one it is refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from kernel import yaml
from kernel.errors import ConfigurationError


class Status(StrEnum):
    """Whether the law says so, or we read it so until somebody competent decides."""

    IN_FORCE = "in_force"
    PROVISIONAL = "provisional"


_READERS: Mapping[str, Callable[[str], object]] = {
    "cny": Decimal,
    "ratio": Decimal,
    "day": date.fromisoformat,
    "code": str,
    "choice": str,
    "list": str,
}


@dataclass(frozen=True, slots=True)
class Value:
    """What holds from a day on, who says so, and how else it could be read."""

    first: date
    text: str
    unit: str
    reference: str
    status: Status
    readings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number or a reading of the law, by date."""

    name: str
    title_zh: str
    title_en: str
    values: tuple[Value, ...]

    def value_on(self, day: date) -> Value:
        """Give the value that holds on a day; each holds from its first day to the next one's."""
        begun = [value for value in self.values if value.first <= day]
        if not begun:
            raise ConfigurationError(
                f"The parameter {self.name} has no value on {day}.",
                where=f"its first value begins on {self.values[0].first}",
                cure="ask for a later day, or add the value that held then, with its reference.",
            )
        return begun[-1]


Parameters = Mapping[str, Parameter]


def load(path: Path) -> dict[str, Parameter]:
    """Read the parameters of an article."""
    return {
        name: _parameter(name, body, f"{path}, {name}")
        for name, body in yaml.load_mapping(path).items()
    }


def _parameter(name: str, body: object, where: str) -> Parameter:
    fields = _mapping(body, where)
    title = _mapping(fields.get("title"), f"{where}, title")
    values = _mapping(fields.get("values"), f"{where}, values")
    dated = sorted(
        (_value(first, entry, f"{where}, {first}") for first, entry in values.items()),
        key=lambda value: value.first,
    )
    if not dated:
        raise _wrong("The parameter has no value.", where, "add its first value under `values`.")
    return Parameter(
        name, _text(title, "zh", where), _text(title, "en", where), values=tuple(dated)
    )


def _value(first: object, entry: object, where: str) -> Value:
    if not isinstance(first, date):
        raise _wrong("The value has no first day.", where, "write its key as 2023-01-01.")
    fields = _mapping(entry, where)
    metadata = _mapping(fields.get("metadata"), f"{where}, metadata")
    unit = _text(metadata, "unit", where)
    status = _text(metadata, "status", where)
    if unit not in _READERS:
        raise _wrong(f"{unit!r} is no unit.", where, "use one of " + ", ".join(sorted(_READERS)))
    if status not in set(Status):
        raise _wrong(f"{status!r} is no status.", where, "use one of " + ", ".join(Status))
    return Value(
        first=first,
        text=_readable(fields.get("value"), unit, where),
        unit=unit,
        reference=_text(metadata, "reference", where),
        status=Status(status),
        readings=_readings(fields.get("readings", []), unit, where),
    )


def _readings(listed: object, unit: str, where: str) -> tuple[str, ...]:
    if not isinstance(listed, list):
        raise _wrong("The other readings are not a list.", where, "write `readings: [...]`.")
    return tuple(_readable(each, unit, where) for each in listed)


def _readable(value: object, unit: str, where: str) -> str:
    """Take a value as text that its unit can read; YAML would make a float of money."""
    if not isinstance(value, str) or not value:
        raise _wrong(f"The value {value!r} is not a text.", where, "put it in double quotes.")
    try:
        _READERS[unit](value)
    except (ValueError, ArithmeticError) as broken:
        raise _wrong(
            f"{value!r} is no {unit}.", where, "correct the value or its unit."
        ) from broken
    return value


def _mapping(value: object, where: str) -> dict[object, object]:
    if not isinstance(value, dict):
        raise _wrong("A mapping is missing.", where, "see another parameter file for the form.")
    return value


def _text(fields: Mapping[object, object], key: str, where: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(f"`{key}` is missing.", where, f"add `{key}: ...` to it.")
    return value


def _wrong(what: str, where: str, cure: str) -> ConfigurationError:
    return ConfigurationError(what, where=where, cure=cure)

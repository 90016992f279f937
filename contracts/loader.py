"""Reads ODCS files: the only place that knows how a contract is spelt."""

import re
import warnings
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path

from contracts.formats import FORMATS
from contracts.model import (
    Contract,
    EnumValue,
    Limits,
    LogicalType,
    Property,
    Publisher,
    Reference,
    Rule,
    Severity,
    Title,
)
from kernel import canonical, yaml
from kernel.errors import ConfigurationError
from kernel.ids import ContractId, contract_id
from kernel.registry import files_in

FOLDER = Path(__file__).parent
_SUFFIX = ".odcs.yaml"
# No record holds a longer text.
_LONGEST = 4 << 20

Node = dict[str, object]


def _node(value: object, where: str) -> Node:
    if not isinstance(value, dict):
        raise ConfigurationError(
            "A mapping is expected here.", where=where, cure="follow a contract beside it."
        )
    return {str(key): item for key, item in value.items()}


def _nodes(value: object, where: str) -> tuple[Node, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ConfigurationError(
            "A list is expected here.", where=where, cure="follow a contract beside it."
        )
    return tuple(_node(item, where) for item in value)


def _text(node: Node, key: str, where: str) -> str:
    value = node.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"`{key}` must be a text.", where=where, cure=f"give `{key}`.")
    return value


def _custom(node: Node, where: str) -> dict[str, str]:
    return {
        _text(each, "property", where): str(each.get("value", ""))
        for each in _nodes(node.get("customProperties"), where)
    }


def _limits(options: Node, kind: LogicalType, where: str) -> Limits:
    """Read the limits of a column, or say which of them is no value of its type."""

    def edge(name: str) -> str | None:
        value = options.get(name)
        return None if value is None else _edge(value, kind)

    def length(name: str) -> int | None:
        value = options.get(name)
        return None if value is None else _length(value)

    pattern = options.get("pattern")
    try:
        _compile(str(pattern or ""))
        return Limits(
            minimum=edge("minimum"),
            maximum=edge("maximum"),
            exclusive_minimum=edge("exclusiveMinimum"),
            exclusive_maximum=edge("exclusiveMaximum"),
            min_length=length("minLength"),
            max_length=length("maxLength"),
            pattern=None if pattern is None else str(pattern),
        )
    except (ArithmeticError, FutureWarning, RecursionError, ValueError, re.error) as broken:
        raise ConfigurationError(
            f"A limit of a {kind} cannot be read: {broken}.",
            where=where,
            cure="write a number, a day, an instant with its zone, a length, or a pattern.",
        ) from broken


def _compile(pattern: str) -> None:
    # What Python warns of, RE2 reads otherwise already.
    with warnings.catch_warnings(action="error", category=FutureWarning):
        re.compile(pattern)


def _finite(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text} is no number that others can be compared with")
    return number


def _zoned(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no zone, so it says nothing of when it is: end it in Z")
    return at


# How an edge is spelt; a text has lengths and a boolean has nothing.
_EDGES: dict[LogicalType, Callable[[str], object]] = {
    LogicalType.INTEGER: int,
    LogicalType.NUMBER: _finite,
    LogicalType.DATE: date.fromisoformat,
    LogicalType.TIMESTAMP: _zoned,
}
# More digits than a float tells apart: YAML would give another number than was written.
_FLOAT_DIGITS = 15


def _edge(value: object, kind: LogicalType) -> str:
    if kind not in _EDGES:
        raise ValueError("it has no minimum or maximum")
    text = str(value)
    try:
        _EDGES[kind](text)
    except ArithmeticError as broken:
        raise ValueError(f"{text!r} is no number") from broken
    if isinstance(value, float) and len(Decimal(text).as_tuple().digits) > _FLOAT_DIGITS:
        raise ValueError(f"{text} has more than {_FLOAT_DIGITS} digits, which a number here loses")
    return text


def _length(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _LONGEST:
        raise ValueError(f"{value!r} is no length: write a whole number, not a text, to {_LONGEST}")
    return value


# The promises that a quality rule may make, by ODCS's metrics.
_ARGUMENTS = {
    "nullValues": frozenset[str](),
    "invalidValues": frozenset(
        {
            "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength",
            "pattern", "validValues", "format", "notBefore",
        }
    ),
}  # fmt: skip


def _rules(node: Node, kind: LogicalType, where: str) -> tuple[Rule, ...]:
    return tuple(_rule(each, kind, where) for each in _nodes(node.get("quality"), where))


def _rule(node: Node, kind: LogicalType, where: str) -> Rule:
    """Read a quality rule: promises of a column with a severity of their own."""
    here = f"{where}, quality {node.get('id', '')}"
    metric, severity = _text(node, "metric", here), _text(node, "severity", here)
    given = _node(node.get("arguments") or {}, here)
    if metric not in _ARGUMENTS or severity not in set(Severity) or node.get("mustBe") != 0:
        raise ConfigurationError(
            "A quality rule of a column counts null or invalid values, of which there must be 0.",
            where=here,
            cure="give `metric: nullValues` or `invalidValues`, `mustBe: 0`, `severity: error` or"
            " `warning`.",
        )
    known = _ARGUMENTS[metric]
    if given.keys() - known or bool(known) != bool(given):
        raise ConfigurationError(
            f"The rule's arguments are not those of {metric}: {', '.join(given) or 'none'}.",
            where=here,
            cure="use " + (", ".join(sorted(known)) or "none") + ".",
        )
    return Rule(
        severity=Severity(severity),
        required=metric == "nullValues",
        limits=_limits(given, kind, here),
        enum=tuple(EnumValue(each, each) for each in _listed(given, here)),
        format=_format(given, here),
        not_before=_text(given, "notBefore", here) if "notBefore" in given else None,
    )


def _listed(given: Node, where: str) -> list[str]:
    if "validValues" not in given:
        return []
    values = given["validValues"]
    texts = [each for each in values if isinstance(each, str)] if isinstance(values, list) else []
    if not texts or texts != values:
        raise ConfigurationError(
            "`validValues` must be a list of texts.",
            where=where,
            cure="give at least one, each in quotes: YAML makes something else of no, 1 or a day.",
        )
    return texts


def _format(given: Mapping[str, object], where: str) -> str | None:
    name = given.get("format")
    if name is not None and name not in FORMATS:
        raise ConfigurationError(
            f"{name!r} is not a format used here.",
            where=where,
            cure="use one of " + ", ".join(FORMATS) + ".",
        )
    return None if name is None else str(name)


def _reference(node: Node, where: str) -> Reference | None:
    for each in _nodes(node.get("relationships"), where):
        target = _custom(each, where).get("contract", "")
        return Reference(contract_id(target, where), _text(each, "to", where).rsplit(".", 1)[-1])
    return None


def _property(node: Node, where: str) -> Property:
    name = _text(node, "name", where)
    here = f"{where}, column {name}"
    custom = _custom(node, here)
    kind = _text(node, "logicalType", here)
    if kind not in set(LogicalType):
        raise ConfigurationError(
            f"{kind!r} is not a type used here.",
            where=here,
            cure="use one of " + ", ".join(LogicalType) + ".",
        )
    position = node.get("primaryKeyPosition")
    options = _node(node.get("logicalTypeOptions") or {}, here)
    examples = node.get("examples")
    return Property(
        name=name,
        title=Title(_text(node, "businessName", here), _text(node, "description", here)),
        type=LogicalType(kind),
        physical=_text(node, "physicalType", here),
        required=node.get("required") is True,
        key_position=position if isinstance(position, int) else None,
        classification=_text(node, "classification", here),
        limits=_limits(options, LogicalType(kind), here),
        enum=tuple(
            EnumValue(value := _text(each, "value", f"{here}, enum"), str(each.get("label", value)))
            for each in _nodes(node.get("enum"), here)
        ),
        format=_format(custom, here),
        unit=custom.get("unit"),
        reference=_reference(node, here),
        examples=tuple(str(each) for each in examples) if isinstance(examples, list) else (),
        quality=_rules(node, LogicalType(kind), here),
    )


_UNITS = {"h": "hours", "d": "days"}


def _frequency(root: Node, where: str) -> timedelta | None:
    """Read how often rows come: the only service level that anybody checks here."""
    told = _nodes(root.get("slaProperties"), where)
    if not told:
        return None
    value, unit = told[0].get("value"), _UNITS.get(str(told[0].get("unit")))
    if len(told) > 1 or told[0].get("property") != "frequency" or not unit or not _is_count(value):
        raise ConfigurationError(
            "`slaProperties` holds one property here: a frequency.",
            where=where,
            cure="give `property: frequency`, a whole `value`, and `unit: h` or `d`.",
        )
    return timedelta(**{unit: int(str(value))})


def _least_rows(schema: Node, where: str) -> int | None:
    told = _nodes(schema.get("quality"), where)
    if not told:
        return None
    least = told[0].get("mustBeGreaterOrEqualTo")
    if len(told) > 1 or told[0].get("metric") != "rowCount" or not _is_count(least):
        raise ConfigurationError(
            "A schema's `quality` holds one rule here: how many rows there are at least.",
            where=where,
            cure="give `metric: rowCount` and a whole `mustBeGreaterOrEqualTo`.",
        )
    return int(str(least))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value > 0


def parse(text: str, where: str) -> Contract:
    """Read a contract from its text; a mistake names the file and the column."""
    root = _node(yaml.parse(text, where), where)
    identity = contract_id(_text(root, "id", where), where)
    schemas = _nodes(root.get("schema"), where)
    version = _text(root, "version", where)
    whole = len(schemas) == 1 and bool(schemas[0].get("properties"))
    if not whole or f".v{version.split('.', 1)[0]}" != identity[identity.rindex(".") :]:
        raise ConfigurationError(
            "A contract has one schema with properties, and its id ends in its version's major.",
            where=where,
            cure="split the file, or make id and version agree.",
        )
    custom = _custom(root, where)
    publisher = custom.get("publisher", Publisher.FACTORY)
    if publisher not in set(Publisher):
        raise ConfigurationError(
            f"{publisher!r} publishes nothing here.",
            where=where,
            cure="use one of " + ", ".join(Publisher) + ".",
        )
    properties = tuple(_property(each, where) for each in _nodes(schemas[0]["properties"], where))
    if not any(each.key_position for each in properties):
        raise ConfigurationError(
            "A contract has a key.", where=where, cure="give a column `primaryKeyPosition: 1`."
        )
    return Contract(
        id=identity,
        version=version,
        title=Title(custom.get("titleZh", identity), custom.get("titleEn", identity)),
        purpose=_text(_node(root.get("description"), where), "purpose", where),
        publisher=Publisher(publisher),
        properties=properties,
        digest=canonical.digest(text.encode()),
        text=text,
        frequency=_frequency(root, where),
        least_rows=_least_rows(schemas[0], where),
    )


_known: dict[Path, dict[ContractId, Contract]] = {}


def all_contracts(folder: Path = FOLDER) -> dict[ContractId, Contract]:
    """Give every contract of the folder, by id, as it was when last read."""
    if folder not in _known:
        _known[folder] = _read(folder)
    return _known[folder]


def stamp(folder: Path = FOLDER) -> tuple[object, ...]:
    """Tell apart states of the folder's files."""
    found = ((path, path.stat()) for path in files_in(folder, f"*{_SUFFIX}"))
    return tuple((path, told.st_mtime_ns, told.st_size) for path, told in found)


def read_again() -> None:
    """Take the files as they are now; a mistake in one leaves what was known."""
    _known[FOLDER] = _read(FOLDER)


def _read(folder: Path) -> dict[ContractId, Contract]:
    """Read each file; its place must spell the id."""
    found: dict[ContractId, Contract] = {}
    for path in files_in(folder, f"*{_SUFFIX}"):
        contract = parse(path.read_text(encoding="utf-8"), str(path.relative_to(folder.parent)))
        spelt = f"{path.parent.name}.{path.name.removesuffix(_SUFFIX)}"
        if contract.id != spelt:
            raise ConfigurationError(
                f"The file is named for {spelt} and holds {contract.id}.",
                where=str(path.relative_to(folder.parent)),
                cure="rename the file or mend its id.",
            )
        found[contract.id] = contract
    return found


def find(identity: str) -> Contract:
    """Give a contract by its id, or say which are near."""
    known = all_contracts()
    try:
        return known[contract_id(identity)]
    except KeyError:
        near = get_close_matches(identity, sorted(known))
        raise ConfigurationError(
            f"There is no contract {identity!r}.",
            where="contracts/",
            cure=f"use {' or '.join(near)}; `nplusx contract list` shows all."
            if near
            else "use one of " + ", ".join(sorted(known)) + ".",
        ) from None

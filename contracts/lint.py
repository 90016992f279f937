"""What a contract file must also be: complete, in one spelling, and true of its own examples."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from jsonschema import Draft201909Validator

from contracts import sample
from contracts.decode import decode_json
from contracts.gate import judge
from contracts.loader import FOLDER
from contracts.model import Contract, LogicalType, Property
from contracts.schema import LINEAGE, arrow_type
from kernel import canonical, yaml
from kernel.ids import ContractId

Known = Mapping[ContractId, Contract]
CLASSES = frozenset({"public", "internal", "personal", "secret"})
UNITS = frozenset(
    {
        "yuan", "ratio", "piece", "kg", "t", "tce", "tco2e", "kwh", "kw", "gj", "m2", "m3", "mu",
        "km", "second", "minute", "person", "point", "usd",
    }
)  # fmt: skip
_OF_COLUMN = re.compile(r"(?:yuan|unit) of `([a-z_]+)`")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = re.compile(r"[1-9][0-9]*\.[0-9]+\.[0-9]+")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
# What RE2 and Python read differently: classes such as \\d, groups that look around, inner anchors.
_NOT_PLAIN = re.compile(r"\\[A-Za-z0-9]|\(\?|\$|(?<!\[)\^")
# Files are shared by all factories: what belongs to one deployment comes from its settings.
_NOT_SHARED = ("servers", "tenant", "support", "team", "roles", "price")
_SUFFIXES = {
    LogicalType.DATE: ("_on", "_from", "_until"),
    LogicalType.TIMESTAMP: ("_at",),
    LogicalType.BOOLEAN: ("is_", "has_"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend: which column, or none, and what to do."""

    column: str
    problem: str


def findings(contract: Contract, known: Known) -> list[Finding]:
    """List everything that our rules ask beyond the official schema."""
    found = [*_shared(contract), *_titled(contract), *_keys(contract)]
    for column in contract.properties:
        for rule in (_described, _named, _bounded, _measured, _spelt):
            found += [Finding(column.name, problem) for problem in rule(column)]
        found += [Finding(column.name, each) for each in _accompanied(contract, column)]
        found += [Finding(column.name, each) for each in _referring(column, known)]
        found += [Finding(column.name, each) for each in _following(contract, column)]
    return found or [*_examples(contract)]


@cache
def _schema() -> Draft201909Validator:
    published = canonical.loads((FOLDER / "odcs-3.2.0.schema.json").read_bytes())
    return Draft201909Validator(published if isinstance(published, dict) else {})


def official(contract: Contract) -> list[Finding]:
    """Hold a file against the published JSON Schema of ODCS."""
    errors = _schema().iter_errors(yaml.parse(contract.text, contract.id))
    return [Finding(".".join(map(str, each.path)), each.message) for each in errors]


def _shared(contract: Contract) -> Iterator[Finding]:
    """Ask that the file says what it must and nothing of one deployment."""
    root = yaml.parse(contract.text, contract.id)
    if not isinstance(root, dict):
        return
    system, entity, _ = contract.id.split(".")
    wanted = {"apiVersion": "v3.2.0", "name": f"{system}_{entity}", "status": "active"}
    for key, value in wanted.items():
        if root.get(key) != value:
            yield Finding("", f"`{key}` must be {value!r}.")
    for key in _NOT_SHARED:
        if key in root:
            yield Finding("", f"`{key}` belongs to one deployment: leave it out.")
    if root["schema"][0].get("physicalName") != f"nplusx.{contract.id}":
        yield Finding("", f"`physicalName` must be the topic, nplusx.{contract.id}.")


def _titled(contract: Contract) -> Iterator[Finding]:
    if not _VERSION.fullmatch(contract.version):
        yield Finding("", "`version` must be three numbers.")
    if not _CHINESE.search(contract.title.zh) or contract.title.en == contract.id:
        yield Finding("", "give `titleZh` and `titleEn`.")


def _keys(contract: Contract) -> Iterator[Finding]:
    positions = sorted(each.key_position or 0 for each in contract.properties if each.key_position)
    if positions != list(range(1, len(positions) + 1)) or not positions:
        yield Finding("", "number the key's columns 1, 2 …; there is at least one.")
    for name in contract.key:
        if not contract.column(name).required:
            yield Finding(name, "a key is required.")
    names = [each.name for each in contract.properties]
    for name in sorted({each for each in names if names.count(each) > 1}):
        yield Finding(name, "the name occurs twice.")
    if "updated_at" not in names or not contract.column("updated_at").required:
        yield Finding("updated_at", "tell required, when the source changed the row.")


def _described(column: Property) -> Iterator[str]:
    if not _CHINESE.search(column.title.zh):
        yield "`businessName` must be Chinese."
    if not column.title.en.endswith("."):
        yield "`description` must be an English sentence."
    if column.classification not in CLASSES:
        yield "`classification` must be one of " + ", ".join(sorted(CLASSES)) + "."
    if not column.examples:
        yield "give an example."
    for each in column.enum:
        if each.label == each.value:
            yield f"give {each.value!r} a label."


def _named(column: Property) -> Iterator[str]:
    if not _NAME.fullmatch(column.name) or column.name in LINEAGE.names:
        yield "a name has small letters, digits and _, and begins with a letter."
    wanted = _SUFFIXES.get(column.type)
    if wanted and not column.name.startswith(wanted) and not column.name.endswith(wanted):
        yield f"a {column.type} is named with " + " or ".join(wanted) + "."


def _bounded(column: Property) -> Iterator[str]:
    limits = column.limits
    ends = (limits.max_length, limits.pattern, column.format)
    if column.type is LogicalType.STRING and not column.enum and not any(ends):
        yield "a text has an end: give maxLength, pattern, format or enum."
    if limits.min_length is not None and limits.min_length > (limits.max_length or 10**6):
        yield "minLength is above maxLength."
    low, high = limits.minimum or limits.exclusive_minimum, limits.maximum
    if low is not None and high is not None and _is_above(column, low, high):
        yield "the minimum is above the maximum."


def _is_above(column: Property, low: str, high: str) -> bool:
    if column.type in {LogicalType.DATE, LogicalType.TIMESTAMP}:
        return low > high
    return Decimal(low) > Decimal(high)


def _measured(column: Property) -> Iterator[str]:
    unit = column.unit
    if column.type is LogicalType.NUMBER and unit is None:
        yield "a number has a unit."
    if unit is not None and unit not in UNITS and not _OF_COLUMN.fullmatch(unit):
        yield f"{unit!r} is no unit used here: use one of {', '.join(sorted(UNITS))}."
    if column.name.endswith("_cny") and unit != "yuan":
        yield "the unit of `_cny` is yuan."


def _spelt(column: Property) -> Iterator[str]:
    pattern = column.limits.pattern
    if pattern is None:
        return
    anchored = pattern.startswith("^") and pattern.endswith("$") and pattern.isascii()
    if not anchored or _NOT_PLAIN.search(pattern[1:-1]):
        yield "a pattern is anchored, ASCII, and has no \\d, \\w, \\s, (? or inner ^ and $."


def _accompanied(contract: Contract, column: Property) -> Iterator[str]:
    """Ask for the column that says in which money or unit a number is."""
    names = {each.name for each in contract.properties}
    told = _OF_COLUMN.fullmatch(column.unit or "")
    if told and told.group(1) not in names:
        yield f"there is no column `{told.group(1)}`, of which its unit speaks."
    if column.name.endswith("_amount") and "currency" not in names:
        yield "an amount needs `currency` beside it."


def _referring(column: Property, known: Known) -> Iterator[str]:
    if column.reference is None:
        return
    target = known.get(column.reference.contract)
    if target is None:
        yield f"it refers to {column.reference.contract}, which does not exist."
        return
    found = [each for each in target.properties if each.name == column.reference.column]
    if not found:
        yield f"it refers to `{column.reference.column}`, which {target.id} does not have."
    elif arrow_type(found[0]) != arrow_type(column):
        yield f"its type is not that of {target.id}.{found[0].name}."


def _following(contract: Contract, column: Property) -> Iterator[str]:
    """Ask of a column that follows another that there is such a one, and both are times."""
    times = {LogicalType.DATE, LogicalType.TIMESTAMP}
    for rule in column.quality:
        before = [each for each in contract.properties if each.name == rule.not_before]
        if rule.not_before and (not before or before[0].type != column.type):
            yield f"there is no column `{rule.not_before}` of its type to be before it."
        elif rule.not_before and column.type not in times:
            yield "only a time is before another."


def _examples(contract: Contract) -> Iterator[Finding]:
    """Judge the examples by the contract itself."""
    most = max(len(each.examples) for each in contract.properties)
    rows = [sample.valid_row(contract, number) for number in range(most)]
    decoded = decode_json(canonical.dumps(rows), contract, lines=False)
    verdict = judge(decoded.rows, contract, decoded.faults)
    for reasons in (*verdict.refused.values(), *verdict.warned.values()):
        for each in reasons:
            yield Finding(each.column, f"an example breaks {each.code}.")

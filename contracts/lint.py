"""What a contract file must also be: complete, in one spelling, and true of its own examples."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
from jsonschema import Draft201909Validator

from contracts import sample
from contracts.decode import decode_json
from contracts.gate import judge
from contracts.loader import FOLDER
from contracts.model import Contract, LogicalType, Property
from contracts.schema import LINEAGE, SIZED, arrow_type
from contracts.suite import is_exact
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
# What RE2, Python and JavaScript read alike: no \\d, no groups of other kinds, no inner anchors.
_ESCAPED = r"\\[!-/:-@\[-`{-~]"
_CLASS = rf"\[\^?(?:{_ESCAPED}|(?!--|&&|~~|\|\|)[^\\\[\]])+\]"
_TIMES = r"(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})\??"
_PLAIN = re.compile(
    rf"(?:(?:[^\\\[\](){{}}*+?^$|]|{_ESCAPED}|{_CLASS}|\((?!\?)|\)|\|)(?:{_TIMES})?)*"
)
_SINGLE = re.compile(f"{_ESCAPED}|{_CLASS}")
_GROUP = re.compile(r"\([^()]*\)")
_PHYSICAL = {
    LogicalType.STRING: "string",
    LogicalType.INTEGER: "int64",
    LogicalType.BOOLEAN: "boolean",
    LogicalType.DATE: "date",
    LogicalType.TIMESTAMP: "timestamp(us, UTC)",
}
# Arrow compares decimals of so many digits, before and behind the point together.
_DIGITS = 38
_LEAST, _MOST = -(2**63), 2**63 - 1
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
    found = [Finding(each.name, said) for each in contract.properties for said in _typed(each)]
    if found:
        return found
    found = [*_shared(contract), *_titled(contract), *_keys(contract)]
    for column in contract.properties:
        for rule in (_described, _named, _bounded, _fitting, _measured, _spelt):
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
        if contract.column(name).type in {LogicalType.NUMBER, LogicalType.BOOLEAN}:
            yield Finding(name, "a key is a text, an integer, a date or a timestamp.")
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


def _typed(column: Property) -> Iterator[str]:
    """Ask for the physical type that the logical one is kept in."""
    wanted = _PHYSICAL.get(column.type)
    if wanted is not None and column.physical != wanted:
        yield f"`physicalType` of a {column.type} is {wanted}."
    if wanted is None:
        sized = SIZED.fullmatch(column.physical)
        digits, places = map(int, sized.groups()) if sized else (0, 0)
        if not 1 <= digits <= _DIGITS or places > digits:
            yield f"`physicalType` of a {column.type} is decimal(p,s): s <= p <= {_DIGITS}."


def _bounded(column: Property) -> Iterator[str]:
    limits = column.limits
    ends = (limits.max_length, limits.pattern, column.format)
    if column.type is LogicalType.STRING and not column.enum and not any(ends):
        yield "a text has an end: give maxLength, pattern, format or enum."
    for limits in (rule.limits for rule in column.rules):
        low, high = limits.min_length, limits.max_length
        if low is not None and high is not None and low > high:
            yield "minLength is above maxLength."
        for edge in limits.edges:
            if edge is not None and not _is_within(column, edge):
                yield f"the edge {edge} has more digits than compare with {column.physical}."
            elif edge is not None and not is_exact(column, edge):
                yield f"the edge {edge} has more digits than Great Expectations tells: give 15."
        least, most = limits.minimum or limits.exclusive_minimum, limits.maximum
        if least is not None and most is not None and column.place(least) > column.place(most):
            yield "the minimum is above the maximum."


def _is_within(column: Property, edge: str) -> bool:
    """Tell whether the gate can hold an edge against every value of its column."""
    if column.type is LogicalType.INTEGER:
        return _LEAST <= int(edge) <= _MOST
    if column.type is not LogicalType.NUMBER:
        return True
    kind, told = arrow_type(column), Decimal(edge).as_tuple()
    places = -int(told.exponent)
    whole = max(len(told.digits) - places, kind.precision - kind.scale)
    return bool(whole + max(places, kind.scale) <= _DIGITS)


def _fitting(column: Property) -> Iterator[str]:
    """Ask that what is promised of texts is promised of texts only."""
    if column.type is LogicalType.STRING:
        return
    for rule in column.rules:
        limits = rule.limits
        told = {
            "an enum": rule.enum,
            "a pattern": limits.pattern is not None,
            "a length": limits.min_length is not None or limits.max_length is not None,
            "a format": rule.format,
        }
        for what in (each for each, is_told in told.items() if is_told):
            yield f"{what} is for texts, this is a {column.type}: leave it out."


def _measured(column: Property) -> Iterator[str]:
    unit = column.unit
    if column.type is LogicalType.NUMBER and unit is None:
        yield "a number has a unit."
    if unit is not None and unit not in UNITS and not _OF_COLUMN.fullmatch(unit):
        yield f"{unit!r} is no unit used here: use one of {', '.join(sorted(UNITS))}."
    if column.name.endswith("_cny") and unit != "yuan":
        yield "the unit of `_cny` is yuan."


def _spelt(column: Property) -> Iterator[str]:
    patterns = [rule.limits.pattern for rule in column.rules]
    for pattern in (each for each in patterns if each is not None):
        if not (pattern.startswith("^") and pattern.endswith("$") and _is_plain(pattern[1:-1])):
            yield (
                f"the pattern {pattern!r} is read in several ways: begin with ^, end with $, write"
                " plain ASCII such as [0-9] for \\d, alternatives in ( ), times up to 999;"
                " leave out (? and inner ^ and $, and put \\ before signs meant as themselves."
            )


def _is_plain(inner: str) -> bool:
    """Tell whether all readers take what stands between the anchors for the same."""
    if not (inner.isascii() and inner.isprintable() and _PLAIN.fullmatch(inner)):
        return False
    outer, nested = "", _SINGLE.sub("", inner)
    while outer != nested:
        outer, nested = nested, _GROUP.sub("", nested)
    try:
        # What is left: RE2 refuses what would take it too much memory.
        pc.match_substring_regex(pa.array([""]), inner)
    except pa.ArrowInvalid:
        return False
    return "|" not in outer


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

"""From a contract to a JSON Schema of one row: what a vendor's own tools can check."""

from decimal import Decimal

import pyarrow as pa

from contracts.formats import FORMATS
from contracts.model import Contract, LogicalType, Property
from contracts.sample import scale_of
from contracts.schema import arrow_type

Node = dict[str, object]
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INT64_DIGITS = 19
_DAY = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_HOUR = r"([01][0-9]|2[0-3])"
# A zone is not optional: an instant without one says nothing of when it was.
_INSTANT = (
    rf"{_DAY}[T ]{_HOUR}:[0-5][0-9](:[0-5][0-9](\.[0-9]{{1,6}})?)?(Z|[+-]{_HOUR}:?[0-5][0-9])"
)


def json_schema(contract: Contract) -> Node:
    """Describe one row in one spelling of each value; the gate takes others that mean the same.

    The gate alone judges edges of numbers sent as text and of times, check digits, decimal places
    of JSON numbers, and rows beside rows.
    """
    required = [each.name for each in contract.properties if each.required]
    return {
        "$schema": _DIALECT,
        "$id": f"urn:nplusx:{contract.id}:{contract.version}",
        "title": f"{contract.title.zh} {contract.title.en}",
        "description": contract.purpose,
        "type": "object",
        "properties": {
            **{each.name: _column(each) for each in contract.properties},
            "_op": {"enum": ["upsert", "delete"], "description": "What to do; upsert if absent."},
        },
        # A delete names its key; it need not carry the rest.
        "if": {"properties": {"_op": {"const": "delete"}}, "required": ["_op"]},
        "then": {"required": list(contract.key)},
        "else": {"required": required},
    }


def _column(column: Property) -> Node:
    one: Node = {"title": column.title.zh, "description": _description(column)}
    kinds = {
        LogicalType.STRING: _text,
        LogicalType.INTEGER: _number,
        LogicalType.NUMBER: _number,
        LogicalType.BOOLEAN: _boolean,
        LogicalType.DATE: _time,
        LogicalType.TIMESTAMP: _time,
    }
    value = kinds[column.type](column)
    if column.required:
        return {**one, **value}
    return {**one, "anyOf": [value, {"type": "null"}]}


def _description(column: Property) -> str:
    said = [column.title.en, f"In {column.unit}." if column.unit else ""]
    limits = column.limits
    if column.type in {LogicalType.DATE, LogicalType.TIMESTAMP} and limits.minimum:
        said.append(f"Not before {limits.minimum}.")
    return " ".join(each for each in said if each)


def _text(column: Property) -> Node:
    limits = column.limits
    if column.enum:
        return {"enum": [each.value for each in column.enum]}
    patterns = [limits.pattern, FORMATS[column.format].pattern if column.format else None]
    told = {
        "minLength": limits.min_length,
        "maxLength": limits.max_length,
        "pattern": next((each for each in patterns if each), None),
    }
    return {"type": "string", **{key: value for key, value in told.items() if value is not None}}


def _number(column: Property) -> Node:
    limits, scale = column.limits, scale_of(column)
    kind = "number" if scale else "integer"
    size = arrow_type(column)
    digits = size.precision - scale if pa.types.is_decimal(size) else _INT64_DIGITS
    beyond = 10**digits if pa.types.is_decimal(size) else 2**63
    told = {
        "minimum": limits.minimum,
        "maximum": limits.maximum,
        "exclusiveMinimum": limits.exclusive_minimum,
        "exclusiveMaximum": limits.exclusive_maximum,
    }
    edges = {
        key: int(Decimal(value)) if Decimal(value) == int(Decimal(value)) else float(value)
        for key, value in told.items()
        if value is not None
    }
    # Where the contract has no edge, the column has.
    if limits.minimum is None and limits.exclusive_minimum is None:
        edges["exclusiveMinimum"] = -beyond
    if limits.maximum is None and limits.exclusive_maximum is None:
        edges["exclusiveMaximum"] = beyond
    low = limits.minimum or limits.exclusive_minimum
    sign = "" if low is not None and float(low) >= 0 else "-?"
    spelt = f"0*[0-9]{{1,{digits}}}" + (rf"(\.[0-9]{{1,{scale}}})?" if scale else "")
    return {
        "anyOf": [{"type": kind, **edges}, {"type": "string", "pattern": f"^{sign}{spelt}$"}],
    }


def _boolean(_: Property) -> Node:
    return {"type": "boolean"}


def _time(column: Property) -> Node:
    if column.type is LogicalType.DATE:
        return {"type": "string", "format": "date", "pattern": f"^{_DAY}$"}
    return {"type": "string", "format": "date-time", "pattern": f"^{_INSTANT}$"}

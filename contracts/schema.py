"""From a contract to Arrow: the columns of a batch and those of its landing table."""

import re

import pyarrow as pa

from contracts.model import Contract, Property
from kernel.errors import ConfigurationError

SIZED = re.compile(r"^decimal\(([0-9]+), *([0-9]+)\)$")
# Always zoned: an unzoned instant would switch on a table feature that old readers refuse.
INSTANT = pa.timestamp("us", tz="UTC")
_SIMPLE: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp(us, UTC)": INSTANT,
}

WARNINGS = "_warnings"
# What landing knows about a row, beside what the contract promises of it.
LINEAGE = pa.schema(
    [
        ("_enterprise", pa.string()),
        ("_source", pa.string()),
        ("_stream", pa.string()),
        ("_epoch", pa.string()),
        ("_sequence", pa.int64()),
        ("_op", pa.string()),
        ("_topic", pa.string()),
        ("_partition", pa.int32()),
        ("_offset", pa.int64()),
        ("_row", pa.int32()),
        ("_contract_version", pa.string()),
        ("_broker_at", INSTANT),
        ("_record_digest", pa.string()),
        ("_extra", pa.string()),
        # The codes of what was promised with severity warning and is not so, with commas between.
        (WARNINGS, pa.string()),
        ("_month", pa.string()),
    ]
)


def arrow_type(column: Property) -> pa.DataType:
    """Give the Arrow type of a column."""
    found = _SIMPLE.get(column.physical)
    if found is not None:
        return found
    sized = SIZED.match(column.physical)
    if sized is None:
        raise ConfigurationError(
            f"{column.physical!r} is not a physical type used here.",
            where=f"column {column.name}",
            cure="use decimal(p,s) or one of " + ", ".join(_SIMPLE) + ".",
        )
    return pa.decimal128(int(sized.group(1)), int(sized.group(2)))


def batch_schema(contract: Contract) -> pa.Schema:
    """Give the columns that a producer sends."""
    return pa.schema([(each.name, arrow_type(each)) for each in contract.properties])


def landing_schema(contract: Contract) -> pa.Schema:
    """Give the columns of the landing table."""
    return pa.schema([*batch_schema(contract), *LINEAGE])

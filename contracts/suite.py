"""The same promises as a Great Expectations suite: the second opinion, and the one door to GX."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from contracts.formats import FORMATS
from contracts.model import Contract, LogicalType, Property
from contracts.schema import arrow_type
from contracts.violations import Kind

_ROW = "_audit_row"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Kinds that both gate and suite judge; types are Arrow's business, whole records the lander's.
COVERED = frozenset(
    {Kind.REQUIRED, Kind.ENUM, Kind.MINIMUM, Kind.MAXIMUM, Kind.LENGTH, Kind.PATTERN, Kind.FORMAT}
)


@dataclass(frozen=True, slots=True)
class Promise:
    """One expectation: which column, which kind, and GX's name and arguments for it."""

    column: str
    kind: Kind
    expectation: str
    arguments: Mapping[str, object]

    @property
    def code(self) -> str:
        """Spell the reason code that the gate gives for the same promise."""
        return f"{self.column}.{self.kind}"


def promises(contract: Contract) -> Iterator[Promise]:
    """Compile a contract's promises to expectations."""
    for column in contract.properties:
        if column.required:
            yield Promise(column.name, Kind.REQUIRED, "ExpectColumnValuesToNotBeNull", {})
        if column.enum:
            allowed = [each.value for each in column.enum]
            yield Promise(
                column.name, Kind.ENUM, "ExpectColumnValuesToBeInSet", {"value_set": allowed}
            )
        yield from _bounds(column)
        yield from _spelling(column)


def _bounds(column: Property) -> Iterator[Promise]:
    limits = column.limits
    low = limits.exclusive_minimum or limits.minimum
    high = limits.exclusive_maximum or limits.maximum
    between = "ExpectColumnValuesToBeBetween"
    if low is not None:
        strict = limits.exclusive_minimum is not None
        arguments = {"min_value": _edge(column, low), "strict_min": strict}
        yield Promise(column.name, Kind.MINIMUM, between, arguments)
    if high is not None:
        strict = limits.exclusive_maximum is not None
        arguments = {"max_value": _edge(column, high), "strict_max": strict}
        yield Promise(column.name, Kind.MAXIMUM, between, arguments)


def _edge(column: Property, text: str) -> int:
    """Give an edge as the whole number that `_counted` makes of the column's values."""
    if column.type is LogicalType.DATE:
        return date.fromisoformat(text).toordinal()
    if column.type is LogicalType.TIMESTAMP:
        return _microseconds(datetime.fromisoformat(text))
    return _whole(Decimal(text), _scale(column))


def _scale(column: Property) -> int:
    """Tell how many decimal places hold every value and every edge: an edge may be finer."""
    kind, limits = arrow_type(column), column.limits
    edges = (
        limits.minimum, limits.maximum, limits.exclusive_minimum, limits.exclusive_maximum
    )  # fmt: skip
    places = [-int(Decimal(e).as_tuple().exponent) for e in edges if e is not None]
    return max(*places, kind.scale if pa.types.is_decimal(kind) else 0, 0)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _whole(value: Decimal, scale: int) -> int:
    return int(value.scaleb(scale))


def _counted(column: Property, values: pa.ChunkedArray) -> list[int | None]:
    """Turn days, instants and decimals into whole numbers: GX compares those exactly."""
    if column.type is LogicalType.DATE:
        return [None if day is None else day.toordinal() for day in values.to_pylist()]
    if column.type is LogicalType.TIMESTAMP:
        return [None if at is None else _microseconds(at) for at in values.to_pylist()]
    scale = _scale(column)
    return [None if v is None else _whole(Decimal(v), scale) for v in values.to_pylist()]


def _spelling(column: Property) -> Iterator[Promise]:
    limits = column.limits
    if limits.min_length is not None or limits.max_length is not None:
        arguments = {"min_value": limits.min_length, "max_value": limits.max_length}
        yield Promise(column.name, Kind.LENGTH, "ExpectColumnValueLengthsToBeBetween", arguments)
    if limits.pattern is not None:
        # Python's $ also matches before a final newline; RE2's does not.
        regex = limits.pattern.removesuffix("$") + r"\Z"
        yield Promise(column.name, Kind.PATTERN, "ExpectColumnValuesToMatchRegex", {"regex": regex})
    if column.format is not None:
        yield Promise(
            column.name, Kind.FORMAT, "ExpectColumnValuesToBeInSet", {"value_set": [True]}
        )


def second_opinion(rows: pa.Table, contract: Contract, docs: Path | None) -> list[set[str]]:
    """Judge rows by Great Expectations: the reason codes of each row; Data Docs when asked."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # noqa: TID251  # GX reads this and nothing else
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.checkpoint.actions import UpdateDataDocsAction
    from great_expectations.data_context.store.store import DataDocsSiteConfigTypedDict
    from great_expectations.data_context.types.base import ProgressBarsConfig

    found: list[set[str]] = [set() for _ in range(rows.num_rows)]
    if not rows.num_rows:
        return found
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("landing").add_dataframe_asset(contract.id)
    suite = context.suites.add(gx.ExpectationSuite(name=contract.id))
    for promise in promises(contract):
        expectation = getattr(gxe, promise.expectation)
        suite.add_expectation(
            expectation(
                column=_checked_column(promise),
                description=f"{contract.column(promise.column).title.zh}：{promise.code}",
                meta={"code": promise.code},
                **promise.arguments,
            )
        )
    check = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=contract.id, data=asset.add_batch_definition_whole_dataframe("all"), suite=suite
        )
    )
    if docs is not None:
        backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)}
        site: DataDocsSiteConfigTypedDict = {
            "class_name": "SiteBuilder",
            "store_backend": backend,
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        }
        context.add_data_docs_site("county", site)
    checkpoint = gx.Checkpoint(
        name=contract.id,
        validation_definitions=[check],
        actions=[UpdateDataDocsAction(name="docs", site_names=["county"])] if docs else [],
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": [_ROW]},
    )
    outcome = context.checkpoints.add(checkpoint).run({"dataframe": _frame(rows, contract)})
    for result in next(iter(outcome.run_results.values())).results:
        _note(result.to_json_dict(), found)
    return found


def differ(mine: set[str], theirs: set[str], contract: Contract, *, is_delete: bool) -> bool:
    """Compare the gate's codes with the suite's, on what both judge: of a delete, only its key."""
    if is_delete:
        theirs = {code for code in theirs if code.rpartition(".")[0] in contract.key}
    # A value of the wrong type has none to the gate; what the suite makes of its text is no answer.
    untyped = _columns_of(mine, Kind.TYPE)
    theirs = {code for code in theirs if code.rpartition(".")[0] not in untyped}
    return {code for code in mine if code.rpartition(".")[2] in COVERED} != theirs


def _columns_of(reasons: set[str], kind: Kind) -> set[str]:
    return {reason.rpartition(".")[0] for reason in reasons if reason.endswith(f".{kind}")}


def _checked_column(promise: Promise) -> str:
    return f"{promise.column}__is_valid" if promise.kind is Kind.FORMAT else promise.column


def _note(result: Mapping[str, object], found: list[set[str]]) -> None:
    """Write down which rows a promise is broken in; one that could not be checked is an error."""
    config = result["expectation_config"]
    code = str(config["meta"]["code"]) if isinstance(config, dict) else ""
    raised = result.get("exception_info")
    if isinstance(raised, dict) and raised.get("raised_exception"):
        raise RuntimeError(f"{code} could not be checked: {raised.get('exception_message')}")
    details = result["result"]
    rows = details.get("unexpected_index_list") if isinstance(details, dict) else None
    for row in rows or []:
        found[int(row[_ROW])].add(code)


def _frame(rows: pa.Table, contract: Contract) -> object:
    """Give the rows as a data frame in which GX compares as the contract means it."""
    import pandas as pd

    columns: dict[str, object] = {_ROW: range(rows.num_rows)}
    for column in contract.properties:
        values = rows[column.name]
        if column.type in {LogicalType.STRING, LogicalType.BOOLEAN}:
            columns[column.name] = pd.Series(values.to_pylist(), dtype=object)
        else:
            # 38 digits are more than 64 bits hold.
            dtype = object if column.type is LogicalType.NUMBER else "Int64"
            columns[column.name] = pd.Series(_counted(column, values), dtype=dtype)
        if column.format is not None:
            holds = FORMATS[column.format].holds
            valid = [None if code is None else holds(code) for code in values.to_pylist()]
            columns[f"{column.name}__is_valid"] = pd.Series(valid, dtype=object)
    return pd.DataFrame(columns)

"""The same promises as a Great Expectations suite: the second opinion, and the one door to GX."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from pathlib import Path

import pyarrow as pa

from contracts.formats import FORMATS
from contracts.model import Contract, Limits, LogicalType, Property, Rule, Severity, microseconds
from contracts.schema import arrow_type
from contracts.violations import Kind

_ROW = "_audit_row"
# What GX calls ours; its own `warning` would let the suite pass, as a row with a warning does.
_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "warning"}
_EXACT = Context(prec=100)
# Kinds that both gate and suite judge; types are Arrow's business, whole records the lander's.
COVERED = frozenset(
    {
        Kind.REQUIRED, Kind.ENUM, Kind.MINIMUM, Kind.MAXIMUM, Kind.LENGTH, Kind.PATTERN,
        Kind.FORMAT, Kind.ORDER,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Promise:
    """One expectation: which column, which kind, and GX's name and arguments for it."""

    column: str
    kind: Kind
    severity: Severity
    expectation: str
    arguments: Mapping[str, object]

    @property
    def code(self) -> str:
        """Spell the reason code that the gate gives for the same promise."""
        return f"{self.column}.{self.kind}"


_Said = tuple[Kind, str, Mapping[str, object]]


def promises(contract: Contract) -> Iterator[Promise]:
    """Compile a contract's promises to expectations."""
    for column in contract.properties:
        for rule in column.rules:
            for kind, expectation, arguments in _said(column, rule):
                # A pair of columns is named as such.
                alone = {} if kind is Kind.ORDER else {"column": column.name}
                checked = {**alone, **arguments}
                yield Promise(column.name, kind, rule.severity, expectation, checked)


def _said(column: Property, rule: Rule) -> Iterator[_Said]:
    if rule.required:
        yield Kind.REQUIRED, "ExpectColumnValuesToNotBeNull", {}
    if rule.enum:
        allowed = [each.value for each in rule.enum]
        yield Kind.ENUM, "ExpectColumnValuesToBeInSet", {"value_set": allowed}
    yield from _bounds(column, rule.limits)
    yield from _spelling(column, rule)
    if rule.not_before is not None:
        pair = {"column_A": column.name, "column_B": rule.not_before, "or_equal": True}
        told = {**pair, "ignore_row_if": "either_value_is_missing"}
        yield Kind.ORDER, "ExpectColumnPairValuesAToBeGreaterThanB", told


def _bounds(column: Property, limits: Limits) -> Iterator[_Said]:
    between = "ExpectColumnValuesToBeBetween"
    for edge, strict in ((limits.minimum, False), (limits.exclusive_minimum, True)):
        if edge is not None:
            yield Kind.MINIMUM, between, {"min_value": _edge(column, edge), "strict_min": strict}
    for edge, strict in ((limits.maximum, False), (limits.exclusive_maximum, True)):
        if edge is not None:
            yield Kind.MAXIMUM, between, {"max_value": _edge(column, edge), "strict_max": strict}


def _edge(column: Property, text: str) -> int:
    """Give an edge as the whole number that `_counted` makes of the column's values."""
    is_number = column.type in {LogicalType.INTEGER, LogicalType.NUMBER}
    return _whole(column.place(text), _scale(column) if is_number else 0)


def is_exact(column: Property, text: str) -> bool:
    """Tell whether GX compares with an edge as it is: it makes a float of it."""
    edge = _edge(column, text)
    return float(edge) == edge


def _scale(column: Property) -> int:
    """Tell how many decimal places hold every value and every edge: an edge may be finer."""
    kind = arrow_type(column)
    places = [
        -int(Decimal(edge).as_tuple().exponent)
        for rule in column.rules
        for edge in rule.limits.edges
        if edge is not None
    ]
    return max(*places, kind.scale if pa.types.is_decimal(kind) else 0, 0)


def _whole(value: Decimal, scale: int) -> int:
    # Python would round to 28 digits.
    return int(value.scaleb(scale, _EXACT))


def _counted(column: Property, values: pa.ChunkedArray) -> list[int | None]:
    """Turn days, instants and decimals into whole numbers: GX compares those exactly."""
    if column.type is LogicalType.DATE:
        return [None if day is None else day.toordinal() for day in values.to_pylist()]
    if column.type is LogicalType.TIMESTAMP:
        return [None if at is None else microseconds(at) for at in values.to_pylist()]
    scale = _scale(column)
    return [None if v is None else _whole(Decimal(v), scale) for v in values.to_pylist()]


def _spelling(column: Property, rule: Rule) -> Iterator[_Said]:
    limits = rule.limits
    if limits.min_length is not None or limits.max_length is not None:
        arguments = {"min_value": limits.min_length, "max_value": limits.max_length}
        yield Kind.LENGTH, "ExpectColumnValueLengthsToBeBetween", arguments
    if limits.pattern is not None:
        # Python's $ also matches before a final newline; RE2's does not.
        regex = limits.pattern.removesuffix("$") + r"\Z"
        yield Kind.PATTERN, "ExpectColumnValuesToMatchRegex", {"regex": regex}
    if rule.format is not None:
        valid = {"column": _valid_name(column, rule.format), "value_set": [True]}
        yield Kind.FORMAT, "ExpectColumnValuesToBeInSet", valid


def _valid_name(column: Property, name: str) -> str:
    """Name the column that tells of each code whether it is of a format."""
    # No column's name begins so.
    return f"_{column.name}__is_{name}"


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
    expectations = [
        getattr(gxe, promise.expectation)(
            severity=_SEVERITIES[promise.severity],
            description=f"{contract.column(promise.column).title.zh}：{promise.code}",
            meta={"code": promise.code},
            **promise.arguments,
        )
        for promise in promises(contract)
    ]
    # In one go: GX writes the whole suite anew for each that is added to it.
    suite = context.suites.add(gx.ExpectationSuite(name=contract.id, expectations=expectations))
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
    outcome = context.checkpoints.add(checkpoint).run({"dataframe": frame(rows, contract)})
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


def frame(rows: pa.Table, contract: Contract) -> object:
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
        for name in {rule.format for rule in column.rules if rule.format is not None}:
            holds = FORMATS[name].holds
            valid = [None if code is None else holds(code) for code in values.to_pylist()]
            columns[_valid_name(column, name)] = pd.Series(valid, dtype=object)
    return pd.DataFrame(columns)

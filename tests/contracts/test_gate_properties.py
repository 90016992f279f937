"""Three judges of the same rows: the gate, Great Expectations, and one row after the other."""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext

import pyarrow as pa
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from contracts import sample
from contracts.decode import decode_json
from contracts.gate import judge
from contracts.loader import find, parse
from contracts.model import Contract, LogicalType, Property
from contracts.schema import batch_schema
from contracts.suite import differ, second_opinion
from kernel import canonical
from tests.contracts import drawn as drawing
from tests.contracts.reference import judged


def _edged() -> Contract:
    """Give edges that no contract has yet: between two seconds, and finer than the column."""
    text = find("mes.operation_report.v1").text.replace("minimum: 0\n", "minimum: 0.00005\n", 1)
    begun, ended = "2024-03-05T00:00:00.500000Z", "2024-03-05T04:00:00.500000Z"
    for hour, edge in (("00", f"minimum: '{begun}'"), ("04", f"exclusiveMaximum: '{ended}'")):
        told = f"        examples: ['2024-03-05T{hour}:00:00Z']"
        text = text.replace(told, f"        logicalTypeOptions:\n          {edge}\n{told}")
    return parse(text, "test")


# Between them: every type, kind of promise and format.
CHOSEN = (
    "erp.purchase_invoice_line.v1", "gov.enterprise.v1", "erp.sales_invoice.v1", "erp.bom.v1",
    "gov.region_statistic.v1", "srm.purchase_order_line.v1", "mes.operation_report.v1",
    "mes.work_order.v1", "mes.equipment_state.v1", "retrofit.declaration.v1",
    "edged", "softened",
)  # fmt: skip


def _softened() -> Contract:
    """Give a column edges of both severities, and a value that is only asked for."""
    text = find("mes.operation_report.v1").text
    soft = """        quality:
          - {id: a, metric: invalidValues, mustBe: 0, severity: warning, arguments: {minimum: 2}}
          - {id: b, metric: nullValues, mustBe: 0, severity: warning}
"""
    for value in ("[10]", "['EQ01']", "['0.0000']"):
        told = f"        examples: {value}\n"
        rules = soft.replace("minimum: 2", "maxLength: 4") if value == "['EQ01']" else soft
        text = text.replace(told, rules + told)
    return parse(text, "test")


CONTRACTS = {
    **{name: find(name) for name in CHOSEN if "." in name},
    "edged": _edged(),
    "softened": _softened(),
}
# A judge that counts whole seconds, or in the column's own places, would let these pass.
AT_EDGES = (
    {"started_at": "2024-03-05T00:00:00.499999Z"},
    {"finished_at": "2024-03-05T04:00:00.600000Z"},
    {"good_qty": "0.0000"},
)
PATIENT = settings(deadline=None, suppress_health_check=list(HealthCheck))
# Great Expectations' calls and whole contracts cost much: many rows for each, and no shrinking.
DEAR = settings(PATIENT, phases=[Phase.explicit, Phase.reuse, Phase.generate])
Batches = list[list[dict[str, object]]]
Drawn = tuple[str, Batches]
SCRIPTS = ("\uff10", "\u0660", "\u0966", "\u07c0", "\U0001d7ce", "\U0001fbf0")
ODD_TEXTS = (
    "", " ", "\n", "\r\n", "\x00", "\x85", "\u2028", "\u200b", "\ufeff", "e\u0301", "é", "İ",
    "\u017f", "\u0e01\u0e33", "👩\u200d🔧", "𠮷野家", "\uff21\uff22", "\uff35", "\u041a", "null",
)  # fmt: skip
ODD_NUMBERS = (
    "0", "-0", "-1", "1", "0.0001", "-0.0001", "99999999999999.9999", "-99999999999999.9999",
    "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1e3", "1e400", "NaN",
    "Infinity", "+5", " 5", "5 ", "\uff15", "\u0665", "0x10", "1_000", "1,000", "", "007",
)  # fmt: skip
ODD_DAYS = (
    "0001-01-01", "1582-10-10", "1899-12-31", "1970-01-01", "2000-02-29", "2023-02-29",
    "9999-12-31", "10000-01-01", "2024-13-01", "20240305", "2024/3/5",
    "\uff12\uff10\uff12\uff14-03-05", "2024-03-05\n", "2024-03-05 00:00:00",
)  # fmt: skip
ODD_INSTANTS = (
    "0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z", "1969-12-31T23:59:59.999999Z",
    "1970-01-01T00:00:00.000001Z", "9999-12-30T23:59:59.999999Z", "9999-12-31T23:59:59Z",
    "2024-02-29T24:00:00Z", "2024-06-01T08:00:00", "2024-06-01T08:00:00+08:00",
    "2024-06-01T08:00:00Z\n", "2024-06-01T08:00:60Z", "2024-06-01 08:00:00+0800",
)  # fmt: skip


def _in_other_scripts(text: str) -> Iterator[str]:
    """Spell a text's digits as other scripts do, all of them or the last."""
    for zero in SCRIPTS:
        digits = {ord(str(n)): chr(ord(zero) + n) for n in range(10)}
        yield text.translate(digits)
        yield text[:-1] + text[-1:].translate(digits)


def _near_texts(column: Property) -> list[str]:
    told = [*column.examples, *(each.value for each in column.enum)]
    near = [
        odd
        for text in told
        for odd in (
            text, text + "\n", "\n" + text, text + " ", text.lower(), text + "\u0301", text[:-1],
            text[:-1] + "\n", *_in_other_scripts(text),
        )
    ]  # fmt: skip
    limits = [rule.limits for rule in column.rules]
    told_edges = {e for each in limits for e in (each.min_length, each.max_length)}
    edges = {e for e in told_edges if e is not None and e < 10**3}
    long = [
        character * (edge + step)
        for edge in edges
        for step in (-1, 0, 1)
        for character in ("a", "字", "𠮷", "e\u0301"[:1], "\u0301")
        if edge + step >= 0
    ]
    return [*near, *long, *ODD_TEXTS]


def _texts(column: Property) -> st.SearchStrategy[object]:
    shuffled = st.text(st.sampled_from("09AaU\uff35\uff11字𠮷\u0301\n\x00٣"), max_size=24)
    return st.one_of(st.sampled_from(_near_texts(column)), shuffled, st.text(max_size=8))


def _moved(column: Property, edge: str) -> Iterator[str]:
    """Give values at an edge and the smallest steps on both of its sides."""
    for step in (-1, 0, 1):
        # No day comes before the first or after the last.
        with suppress(OverflowError), localcontext(prec=100):
            if column.type is LogicalType.DATE:
                yield (date.fromisoformat(edge) + timedelta(days=step)).isoformat()
            elif column.type is LogicalType.TIMESTAMP:
                at = datetime.fromisoformat(edge) + timedelta(microseconds=step)
                yield at.isoformat()
            else:
                scale = sample.scale_of(column)
                yield format(Decimal(edge) + Decimal(step).scaleb(-scale), "f")
                yield format(Decimal(edge) + Decimal(step), "f")


def _near_edges(column: Property) -> list[str]:
    edges = [edge for rule in column.rules for edge in rule.limits.edges]
    return [value for edge in edges if edge is not None for value in _moved(column, edge)]


ODD: dict[LogicalType, tuple[object, ...]] = {
    LogicalType.STRING: (*ODD_TEXTS, 17, True),
    LogicalType.INTEGER: (*ODD_NUMBERS, 0, -1, 2**63 - 1, 2**63, True, 1.5),
    LogicalType.NUMBER: (*ODD_NUMBERS, 0, -1, 2**63, 0.5),
    LogicalType.BOOLEAN: (True, False, "true", "false", "TRUE", 1, 0, "是", ""),
    LogicalType.DATE: ODD_DAYS,
    LogicalType.TIMESTAMP: ODD_INSTANTS,
}


def _values(column: Property) -> st.SearchStrategy[object]:
    if column.type is LogicalType.STRING:
        return st.one_of(_texts(column), st.sampled_from([None, 17, True]))
    told = [*column.examples, *_near_edges(column), *ODD[column.type], None]
    if any(rule.not_before for rule in column.rules):
        told += [f"2024-03-05T0{hour}" for hour in ("0:00:00Z", "0:00:00.000001Z", "4:00:00Z")]
    return st.sampled_from(told)


@st.composite
def _row(draw: st.DrawFn, contract: Contract) -> dict[str, object]:
    """Draw a row with a few odd values; keys are few, so that they meet again."""
    number = draw(st.integers(0, 3))
    row = sample.valid_row(contract, number)
    names = [each.name for each in contract.properties]
    for name in draw(st.lists(st.sampled_from(names), max_size=3)):
        row[name] = draw(_values(contract.column(name)))
    if draw(st.integers(0, 9)) == 0:
        row["_op"] = draw(st.sampled_from(["delete", "delete", "upsert", "merge", 5]))
    if row.get("_op") == "delete":
        row = {k: v for k, v in row.items() if k in {*contract.key, "_op"} or draw(st.booleans())}
    return row


@st.composite
def drawn_batches(draw: st.DrawFn, least: int) -> Drawn:
    contract = draw(st.sampled_from(CHOSEN))
    batch = st.lists(_row(CONTRACTS[contract]), min_size=1, max_size=6)
    return contract, draw(st.lists(batch, min_size=least, max_size=least + 8))


class Judged:
    """Drawn rows as the gate judged them."""

    def __init__(self, contract: Contract, batches: Batches) -> None:
        self.rows = [row for batch in batches for row in batch]
        self.owners = [at for at, batch in enumerate(batches) for _ in batch]
        self.decoded = decode_json(canonical.dumps(self.rows), contract, lines=False)
        owners = pa.array(self.owners, pa.int32())
        self.verdict = judge(self.decoded.rows, contract, self.decoded.faults, owners)
        found = {**self.verdict.refused, **self.verdict.warned}
        self.codes = [{each.code for each in found.get(n, ())} for n in range(len(self.rows))]


@settings(PATIENT, max_examples=150)
@given(drawn_batches(1))
def test_gate_and_reference_agree_on_every_promise_of_every_row(drawn: Drawn) -> None:
    _gate_and_reference_agree(CONTRACTS[drawn[0]], drawn[1])


def _gate_and_reference_agree(contract: Contract, batches: Batches) -> None:
    gate = Judged(contract, batches)
    faults = {row: [each.code for each in why] for row, why in gate.decoded.faults.items()}
    codes, refused = judged(gate.decoded.rows.to_pylist(), contract, faults, gate.owners)
    assert gate.codes == codes
    landed = [row for row, is_bad in enumerate(refused) if not is_bad]
    assert gate.verdict.accepted().to_pylist() == landed
    warnings = gate.verdict.warnings().to_pylist()
    assert {row: set(codes.split(",")) for row, codes in enumerate(warnings) if codes} == {
        row: gate.codes[row] for row in landed if gate.codes[row]
    }


@settings(DEAR, max_examples=12)
@example(("edged", [[{**sample.valid_row(CONTRACTS["edged"]), **each} for each in AT_EDGES]]))
@example(("gov.region_statistic.v1", [[{"value": "9" * 28 + ".9999999999"}]]))
@given(drawn_batches(12))
def test_gate_and_second_opinion_agree_on_every_promise_that_both_judge(drawn: Drawn) -> None:
    _gate_and_second_opinion_agree(CONTRACTS[drawn[0]], drawn[1])


def _gate_and_second_opinion_agree(contract: Contract, batches: Batches) -> None:
    gate = Judged(contract, batches)
    with warnings.catch_warnings():
        # Deprecations inside GX's own libraries are not ours to mend.
        warnings.simplefilter("ignore")
        columns = gate.decoded.rows.select(batch_schema(contract).names)
        opinions = second_opinion(columns, contract, None)
    deletes = gate.decoded.rows["_op"].to_pylist()
    for row, mine, theirs, op in zip(gate.rows, gate.codes, opinions, deletes, strict=True):
        assert not differ(mine, theirs, contract, is_delete=op == "delete"), (row, mine, theirs)


@st.composite
def _linted(draw: st.DrawFn, least: int) -> tuple[Contract, Batches]:
    """Draw a contract that lint lets pass, and rows of it."""
    contract = draw(drawing.contracts())
    batch = st.lists(_row(contract), min_size=1, max_size=6)
    return contract, draw(st.lists(batch, min_size=least, max_size=least + 8))


@settings(DEAR, max_examples=25)
@given(_linted(4))
def test_gate_and_reference_agree_on_any_contract_that_lint_lets_pass(
    drawn: tuple[Contract, Batches],
) -> None:
    _gate_and_reference_agree(*drawn)


@settings(DEAR, max_examples=4)
@given(_linted(20))
def test_gate_and_second_opinion_agree_on_any_contract_that_lint_lets_pass(
    drawn: tuple[Contract, Batches],
) -> None:
    _gate_and_second_opinion_agree(*drawn)


def test_the_judges_agree_on_each_promise_that_lint_lets_pass_at_its_edges() -> None:
    contract = drawing.every()
    told = {
        column.name: [
            *(_near_texts(column) if column.type is LogicalType.STRING else _near_edges(column)),
            *ODD[column.type],
        ]
        for column in contract.properties[1:-1]
    }
    rows = [
        {
            **sample.valid_row(contract, number),
            **{name: values[number % len(values)] for name, values in told.items()},
        }
        for number in range(max(map(len, told.values())))
    ]
    _gate_and_reference_agree(contract, [rows])
    _gate_and_second_opinion_agree(contract, [rows])

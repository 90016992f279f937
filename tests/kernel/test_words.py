"""Ids, canonical JSON, YAML, money, spans: one meaning each."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import pytest

from kernel import canonical, clock, errors, money, yaml
from kernel.errors import ConfigurationError
from kernel.ids import AgentId, EnterpriseId, SourceId, Stream, contract_id, is_uscc
from kernel.span import Span

SAMPLES = [
    "91110000600037341L", "91330523719500014U", "91330521MA2B3K7P07", "91331125MA2E1H881U",
    "91330411MA2CU0R582",
]  # fmt: skip


@pytest.mark.parametrize("code", SAMPLES)
def test_a_credit_code_checks_itself(code: str) -> None:
    assert is_uscc(code)
    for place in range(len(code)):
        other = "A" if code[place] != "A" else "B"
        assert not is_uscc(code[:place] + other + code[place + 1 :])
    for wrong in (code[:-1], code + "0", code.lower(), code[:-1] + "I", code[:-1] + "\uff10"):
        assert not is_uscc(wrong)


@pytest.mark.parametrize(
    "text", ["erp.payment", "ERP.payment.v1", "erp.payment.v0", "a.b.v1\n", ""]
)
def test_what_is_no_contract_id_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        contract_id(text)


@pytest.mark.parametrize("name", ["", "a/b", "A", "名", "a" * 64, "-a"])
def test_a_stream_takes_plain_names_only(name: str) -> None:
    contract = contract_id("erp.payment.v1")
    with pytest.raises(ConfigurationError):
        Stream(EnterpriseId(SAMPLES[0]), AgentId(name), SourceId("u8"), contract)


def test_canonical_json_is_one_text_for_one_value() -> None:
    class Colour(StrEnum):
        RED = "red"

    value = {"b": Decimal("1.10"), "a": [date(2024, 1, 2), Colour.RED], "c": {3, 1}}
    value["c"] = frozenset({"z", "y"})
    assert canonical.dumps(value) == b'{"a":["2024-01-02","red"],"b":"1.10","c":["y","z"]}'
    assert canonical.dumps(Decimal("1E+2")) == b'"100"'
    with pytest.raises(TypeError):
        canonical.dumps(object())


def test_yaml_refuses_a_key_that_occurs_twice_and_names_the_line() -> None:
    with pytest.raises(ConfigurationError, match=r"twice.*line 2"):
        yaml.parse("a: 1\na: 2\n", "here.yaml")
    with pytest.raises(ConfigurationError, match=r"here\.yaml"):
        yaml.parse("a: [1", "here.yaml")


def test_a_yaml_file_must_be_there_be_text_and_hold_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with pytest.raises(ConfigurationError, match="no such file"):
        yaml.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        yaml.load(path)
    path.write_text("- 1\n")
    with pytest.raises(ConfigurationError, match="mapping"):
        yaml.load_mapping(path)
    path.write_text("a: 1\n")
    assert yaml.load_mapping(path) == {"a": 1}


def test_a_span_holds_its_first_day_and_not_its_end() -> None:
    span = Span(date(2023, 1, 1), date(2026, 1, 1))
    assert date(2023, 1, 1) in span
    assert date(2025, 12, 31) in span
    assert date(2026, 1, 1) not in span
    assert date(2022, 12, 31) not in span
    assert date(9999, 1, 1) in Span(date(2023, 1, 1))


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [("0.004", "0.00"), ("0.005", "0.01"), ("-0.005", "-0.01"), ("1.0049999", "1.00")],
)
def test_halves_of_a_fen_go_away_from_zero(amount: str, rounded: str) -> None:
    assert money.round_fen(Decimal(amount)) == Decimal(rounded)


def test_errors_say_what_where_and_how_and_carry_their_code() -> None:
    codes = {
        errors.ChecksFailedError: 1, errors.ConfigurationError: 2, errors.PartialSuccessError: 3,
        errors.DependencyUnavailableError: 4, errors.TamperingError: 5,
    }  # fmt: skip
    for kind, code in codes.items():
        error = kind("It broke.", where="there", cure="mend it.")
        assert str(error) == "It broke. Where: there. Cure: mend it."
        assert error.exit_code == code


def test_the_clock_tells_utc_and_the_day_in_shanghai() -> None:
    assert clock.now().tzinfo is UTC
    assert clock.today() in {
        datetime.now(clock.SHANGHAI).date(),
        clock.now().astimezone(clock.SHANGHAI).date(),
    }
    before = clock.monotonic()
    clock.sleep(0)
    assert clock.monotonic() >= before


def test_several_errors_are_one_that_names_each_and_is_as_grave_as_the_gravest() -> None:
    one = errors.as_one(
        {
            "A": errors.ChecksFailedError("It is odd.", where="here", cure="mend it."),
            "B": errors.TamperingError("It was changed.", where="here"),
            "C": errors.ChecksFailedError("It is odd too.", cure="mend it."),
        }
    )
    assert isinstance(one, errors.TamperingError)
    assert str(one) == (
        "A: It is odd. B: It was changed. C: It is odd too. Where: here. "
        f"Cure: mend it. {errors.TamperingError.usual_cure}"
    )

"""`nplusx contract` as a vendor or the author of a contract runs it."""

import json
from pathlib import Path

import pytest
import structlog
from jsonschema import Draft202012Validator
from typer.testing import CliRunner, Result

from contracts.decode import decode_json
from contracts.gate import judge
from contracts.lint import official
from contracts.loader import FOLDER, all_contracts, find, parse
from kernel import canonical
from kernel.errors import ChecksFailedError, ConfigurationError
from pipeline import cli
from tests.flow.bad_input.command import Shell
from tests.pipeline.world import World, row

PAYMENT = (FOLDER / "erp" / "payment.v1.odcs.yaml").read_text("utf-8")


def nplusx(*words: str) -> Result:
    try:
        return CliRunner().invoke(cli.assemble(), ["contract", *words])
    finally:
        # The command pointed the log to what the runner captured.
        structlog.reset_defaults()


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A version that takes dollars no longer."""
    path = tmp_path / "payment.yaml"
    path.write_text(PAYMENT.replace("'^[A-Z]{3}$'", "'^CNY$'"), "utf-8")
    return path


def test_the_list_names_every_contract() -> None:
    listed = nplusx("list").output
    assert all(identity in listed for identity in all_contracts())


def test_lint_is_content_with_ours_and_says_what_to_mend_in_another(tmp_path: Path) -> None:
    assert f"{len(all_contracts())} contracts are clean" in nplusx("lint").output
    path = tmp_path / "bad.yaml"
    path.write_text(PAYMENT.replace("businessName: 币种", "businessName: money"), "utf-8")
    done = nplusx("lint", str(path))
    assert isinstance(done.exception, ChecksFailedError)
    assert "currency\t`businessName` must be Chinese." in done.output


@pytest.mark.parametrize("name", ["erp.none.v1", "nowhere.yaml", "nothing at all"])
def test_what_is_no_contract_is_a_usage_error(name: str) -> None:
    assert isinstance(nplusx("show", name).exception, ConfigurationError)


@pytest.mark.parametrize("command", ["lint", "show", "schema", "sample", "suite"])
def test_what_is_no_file_of_ours_is_told_as_such(command: str, tmp_path: Path) -> None:
    """A folder, a device that never ends, a file much larger than any contract, no path at all."""
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "huge.yaml").write_text("a: [1, 2, 3]\n" * 200_000)
    told = {
        str(tmp_path / "folder.yaml"): "Is a directory",
        str(tmp_path): "Is a directory",
        str(tmp_path / "huge.yaml"): "larger than",
        "/dev/zero": "larger than",
        "payment": "an ODCS file",
    }
    for name, why in told.items():
        error = nplusx(command, name).exception
        assert isinstance(error, ConfigurationError), name
        assert why in str(error)


def test_a_contract_may_come_through_a_pipe(other: Path) -> None:
    piped = other.parent / "pipe"
    piped.symlink_to(other)
    assert "1 contracts are clean" in nplusx("lint", str(piped)).output


def test_lint_names_the_file_with_the_mistake(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(PAYMENT.replace("businessName: 币种", "businessName: money"), "utf-8")
    error = nplusx("lint", "erp.payment.v1", str(path)).exception
    assert f"Where: {path}." in str(error)


def test_diff_compares_versions_of_one_contract(world: World) -> None:
    error = nplusx("diff", "erp.payment.v1", "erp.sales_order.v1").exception
    assert isinstance(error, ConfigurationError)
    assert "two versions of one contract" in str(error)


def test_show_tells_the_promises_and_with_servers_this_deployments_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = nplusx("show", "mes.operation_report.v1").output
    assert "`nplusx.mes.operation_report.v1`" in shown
    assert "不合格" not in shown
    assert "required; ≥ 0" in shown
    monkeypatch.setenv("NPLUSX_KAFKA_BOOTSTRAP_SERVERS", "bus.example:9092")
    text = nplusx("show", "erp.payment.v1", "--with-servers").output
    assert "bus.example:9092" in text
    assert official(parse(text, "shown")) == []


def test_schema_is_a_json_schema_that_the_sample_rows_keep() -> None:
    schema = canonical.loads(nplusx("schema", "erp.sales_invoice.v1").output)
    assert isinstance(schema, dict)
    for line in nplusx("sample", "erp.sales_invoice.v1", "--rows", "5").output.splitlines():
        assert Draft202012Validator(schema).is_valid(canonical.loads(line))


def test_the_gate_refuses_of_a_sample_the_bad_rows_for_the_reason_that_each_names() -> None:
    contract = find("mes.operation_report.v1")
    lines = nplusx("sample", contract.id, "--rows", "4", "--bad", "60").output.splitlines()
    named = [json.loads(line).get("_breaks") for line in lines]
    decoded = decode_json("\n".join(lines).encode(), contract, lines=True)
    verdict = judge(decoded.rows, contract, decoded.faults)
    assert [each.code for why in verdict.warned.values() for each in why] == ["finished_at.order"]
    found = {**verdict.refused, **verdict.warned}
    assert named[:4] == [None] * 4
    assert {n: [each.code for each in why] for n, why in found.items()} == {
        n: [reason] for n, reason in enumerate(named) if reason
    }


def test_the_suite_lists_the_second_opinions_expectations() -> None:
    said = nplusx("suite", "erp.payment.v1").output
    assert "paid_on.minimum\terror\tExpectColumnValuesToBeBetween" in said


def test_diff_fails_on_a_breaking_change_and_names_the_rows_that_it_would_refuse(
    world: World, other: Path
) -> None:
    world.send("erp.payment.v1", row("erp.payment.v1", payment_id="P2", currency="USD"))
    world.land()
    done = nplusx("diff", "erp.payment.v1", str(other))
    assert isinstance(done.exception, ChecksFailedError)
    assert done.exception.exit_code == 1
    assert "currency\tpattern\t^[A-Z]{3}$\t^CNY$\tyes" in done.output
    assert "refused anew\t1 of 1 rows" in done.output
    assert "P2: currency.pattern" in done.output


def test_diff_is_content_with_what_only_widens(world: World, other: Path) -> None:
    done = nplusx("diff", str(other), "erp.payment.v1")
    assert isinstance(done.exception, ChecksFailedError), (
        "another pattern may refuse what was right"
    )
    wider = other.with_name("wider.yaml")
    wider.write_text(PAYMENT.replace("maxLength: 64", "maxLength: 65"), "utf-8")
    assert nplusx("diff", "erp.payment.v1", str(wider)).exit_code == 0


def test_warnings_lists_the_landed_rows_that_break_a_soft_promise(world: World) -> None:
    report = "mes.operation_report.v1"
    world.send(report, row(report, started_at="2024-03-05T05:00:00Z"))
    world.land()
    said = nplusx("warnings", report).output
    assert "finished_at.order\t91330523719500014U\t1" in said
    assert f"nplusx.{report}/0/0/0\tOR1\tfinished_at.order" in said


def test_a_folder_is_no_contract_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "contracts.yaml"
    folder.mkdir()
    done = Shell(monkeypatch, capsys)("contract", "lint", str(folder))
    structlog.reset_defaults()
    done.failed(2, str(folder), "cannot be read", "ODCS file")

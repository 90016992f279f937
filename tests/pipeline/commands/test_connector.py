"""Trying a source from the command line: what it offers, and what the gate says of it."""

import sqlite3
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from connectors.fields import Fields
from connectors.registry import _plan, find, kind_of
from kernel import yaml
from kernel.errors import ChecksFailedError, ConfigurationError
from pipeline import cli
from tests.pipeline.site import USCC, Site


def connector(*words: str) -> Result:
    try:
        return CliRunner().invoke(cli.assemble(), ["connector", *words])
    finally:
        # The command pointed the log to what the runner captured.
        structlog.reset_defaults()


def test_what_a_source_offers_is_listed(site: Site) -> None:
    done = connector("discover", str(site.file), "--like", "claim")
    assert done.exit_code == 0, done.output
    assert "claim_line" in done.output
    assert "net_cny" in done.output
    assert "acceptance" not in done.output
    words = ("--like", "no such", "--contract", "retrofit.invoice_line.v1")
    assert "nothing like no such" in connector("discover", str(site.file), *words).output


def test_a_draft_is_a_stream_that_fits_the_contract(site: Site, tmp_path: Path) -> None:
    site.fill(3)
    words = ("--like", "claim_line", "--contract", "retrofit.invoice_line.v1")
    done = connector("discover", str(site.file), *words)
    assert done.exit_code == 0, done.output
    path = tmp_path / "draft.yaml"
    path.write_text(done.output, "utf-8")
    (drafted,) = yaml.parse(done.output, "draft")
    plan = _plan(Fields(drafted, path), kind_of(find("nplusx_registry")))
    assert plan.contract == "retrofit.invoice_line.v1"
    # One odd text must not stop all that follow it: the gate says what is wrong with its row.
    assert 'try_cast("net_cny" as decimal(18,2)) as net_cny' in plan.mapping


def test_first_rows_are_shown_with_the_gates_word(site: Site, tmp_path: Path) -> None:
    site.fill(3, start=1)
    done = connector("read", str(site.file), "retrofit.invoice_line.v1", "--rows", "2")
    assert done.exit_code == 0, done.output
    assert done.output.count(USCC) == 4
    assert "3 rows judged, 0 would be refused" in done.output
    assert not list(tmp_path.glob("*.memory"))
    empty = connector("read", str(site.file), "retrofit.project.v1")
    assert (empty.exit_code, empty.output) == (0, "The stream has no rows.\n")


def test_bad_rows_are_named_with_their_reasons(site: Site) -> None:
    site.fill(1, start=1)
    with sqlite3.connect(site.database) as db:
        db.execute("update claim_line set category = 'gift'")
    db.close()
    done = connector("read", str(site.file), "retrofit.invoice_line.v1")
    assert isinstance(done.exception, ChecksFailedError)
    assert "category.enum" in str(done.exception)
    assert "category.enum" in done.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("read", "erp.payment.v1"), "does not serve"),
        (("read", "retrofit.project.v1", "--source", "other"), "no source"),
        (("certify", "--soak", "1", "--out", "gone/certificate.json"), "folder"),
        (("certificate", "--key", "gone.pub"), "public key cannot be read"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    site: Site, words: tuple[str, ...], says: str
) -> None:
    done = connector(words[0], str(site.file), *words[1:])
    assert isinstance(done.exception, ConfigurationError)
    assert says in done.exception.what

"""The county's ERP in a real database, read by the connector, judged by the gate."""

import psycopg
import pytest

from connectors.base import Source
from connectors.kinds.sql import SqlSource
from connectors.registry import find, open_source
from contracts import loader
from contracts.decode import decode_arrow
from contracts.gate import judge
from contracts.schema import batch_schema
from county.books import make_books
from county.truth import SEED, bad_rows, landed, produced
from county.u8 import load
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import SourceId
from pipeline.bodies import encode
from tests.connectors.reading import mapped

pytestmark = pytest.mark.real_system


def judged(url: str) -> tuple[dict[str, int], dict[str, int], set[tuple[str, str, str]]]:
    """Read everything as an agent does; count rows read and accepted, list what was refused."""
    preset = find("yonyou_u8")
    connector = open_source(Source(SourceId("u8"), preset.id, SqlSource(url, page_rows=700)))
    read: dict[str, int] = {}
    good: dict[str, int] = {}
    refused: set[tuple[str, str, str]] = set()
    for plan in preset.streams:
        contract = loader.find(plan.contract)
        read[plan.contract] = good[plan.contract] = 0
        cursor, more = None, True
        while more:
            page = connector.read(plan, cursor)
            cursor, more = page.cursor, page.more
            if (rows := mapped(page, plan)) is None:
                continue
            # The mapping gives the contract's own columns in its own types.
            promised = {field.name: field.type for field in batch_schema(contract)}
            given = {f.name: f.type for f in rows.schema if f.name != "_op"}
            assert given.items() <= promised.items()
            for body in encode(rows, plan.version):
                decoded = decode_arrow(body.body, contract)
                verdict = judge(decoded.rows, contract, decoded.faults)
                read[plan.contract] += verdict.count
                good[plan.contract] += len(verdict.accepted())
                listed = decoded.rows.to_pylist()
                for row, reasons in verdict.refused.items():
                    key = "/".join(str(listed[row][name]) for name in contract.key)
                    refused |= {(plan.contract, key, reason.code) for reason in reasons}
    connector.close()
    return read, good, refused


def test_the_gate_refuses_exactly_what_was_planted(postgres) -> None:
    url = postgres.fresh()
    books = make_books(SEED)
    counts = load(url, books)
    assert counts["SO_SODetails"] == produced(books)["erp.sales_order_line.v1"]
    read, good, refused = judged(url)
    assert read == produced(books)
    assert good == landed(books)
    assert refused == {(each.contract, each.key, each.reason) for each in bad_rows(books)}


def test_loading_again_changes_nothing_for_the_reader(postgres) -> None:
    url = postgres.fresh()
    books = make_books(SEED)
    load(url, books)
    preset = find("yonyou_u8")
    connector = open_source(Source(SourceId("u8"), preset.id, SqlSource(url)))
    plan = preset.streams[3]
    cursor, more = None, True
    while more:
        page = connector.read(plan, cursor)
        cursor, more = page.cursor, page.more
    load(url.replace("postgresql://", "postgresql+psycopg://"), books)
    again = connector.read(plan, cursor)
    assert (again.rows, again.more) == (None, False)
    with psycopg.connect(url) as connection:
        connection.execute(
            'update "PurBillVouch" set "dmodifysystime" = \'2025-01-02 10:00\' where "PBVID" = 2001'
        )
    changed = mapped(connector.read(plan, again.cursor), plan)
    assert changed is not None
    assert {row["invoice_id"] for row in changed.to_pylist()} == {"2001"}
    connector.close()


def test_drafts_carry_their_status_and_unapproved_documents_stay(postgres) -> None:
    url = postgres.fresh()
    load(url, make_books(SEED))
    with psycopg.connect(url) as connection:
        connection.execute('update "PurBillVouch" set "cPBVVerifier" = null where "PBVID" = 2001')
    preset = find("yonyou_u8")
    connector = open_source(Source(SourceId("u8"), preset.id, SqlSource(url)))
    orders = mapped(connector.read(preset.streams[0], None), preset.streams[0])
    assert orders is not None
    statuses = [row["status"] for row in orders.to_pylist()]
    assert {each: statuses.count(each) for each in set(statuses)}["draft"] == 10
    invoices = mapped(connector.read(preset.streams[3], None), preset.streams[3])
    assert invoices is not None
    assert "2001" not in {row["invoice_id"] for row in invoices.to_pylist()}
    connector.close()


def test_a_silent_or_foreign_database_is_named() -> None:
    books = make_books(SEED)
    with pytest.raises(DependencyUnavailableError, match="does not answer"):
        load("postgresql://u@127.0.0.1:9/db", books)
    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        load("sqlite:///x", books)

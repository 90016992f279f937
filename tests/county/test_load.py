"""Factories in real databases: what an agent reads there is what the truth says, row by row."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from connectors.base import Preset, Source
from connectors.kinds.sql import SqlSource
from connectors.registry import find, open_source
from contracts import loader
from county.books import Books
from county.faults import Planted
from county.load import into_database
from county.shape import as_arrow, tables
from county.truth import demo_books, demo_factory, landed
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import SourceId
from tests.connectors.reading import mapped, read_all
from tests.county import digiwin
from tests.county.judging import judged, require_true

pytestmark = pytest.mark.real_system
BOOKS, PLANTED = demo_books()
FACTORY = demo_factory()


def load(url: str) -> dict[str, int]:
    return into_database(url, tables(FACTORY, FACTORY.system, as_arrow(BOOKS)))


def source(preset: Preset, url: str, **options: int) -> Source[object]:
    return Source(SourceId("s"), preset.id, SqlSource(url, **options))


SYSTEMS = {"yonyou_u8": "postgres", "kingdee_k3cloud_db": "mariadb", "digiwin_yifei": "postgres"}


def told_by(system: str) -> tuple[Books, list[Planted]]:
    """Give the books as a product tells them, and what is planted in them by its keys."""
    if system != "digiwin_yifei":
        return BOOKS, list(PLANTED)
    books = digiwin.told(BOOKS)
    named = []
    for each in PLANTED:
        key = loader.find(each.contract).key
        rows = ["/".join(str(row[name]) for name in key) for row in BOOKS[each.contract]]
        row = books[each.contract][rows.index(each.key)]
        named.append(replace(each, key="/".join(str(row[name]) for name in key)))
    return books, named


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_read_is_the_truth_row_by_row(
    system: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue(SYSTEMS[system]).fresh()
    into_database(url, tables(FACTORY, system, as_arrow(BOOKS)))
    preset = find(system)
    good, refused = judged(replace(source(preset, url, page_rows=700), memory=tmp_path))
    served = {plan.contract for plan in preset.streams}
    books, planted = told_by(system)
    mine = [each for each in planted if each.reason and each.contract in served]
    assert refused == {(each.contract, each.key, each.reason) for each in mine}
    assert {name: rows.num_rows for name, rows in good.items()} == landed(books, mine, good)
    require_true(good, books, planted)


def test_loading_again_changes_nothing_for_the_reader(postgres) -> None:
    url = postgres.fresh()
    load(url)
    preset = find("yonyou_u8")
    connector = open_source(source(preset, url))
    plan = preset.streams[3]
    cursor, more = None, True
    while more:
        page = connector.read(plan, cursor)
        cursor, more = page.cursor, page.more
    load(url.replace("postgresql://", "postgresql+psycopg://"))
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
    load(url)
    with psycopg.connect(url) as connection:
        connection.execute('update "PurBillVouch" set "cPBVVerifier" = null where "PBVID" = 2001')
    preset = find("yonyou_u8")
    connector = open_source(source(preset, url))
    orders = mapped(connector.read(preset.streams[0], None), preset.streams[0])
    assert orders is not None
    statuses = [row["status"] for row in orders.to_pylist()]
    assert {each: statuses.count(each) for each in set(statuses)}["draft"] == 10
    invoices = mapped(connector.read(preset.streams[3], None), preset.streams[3])
    assert invoices is not None
    assert "2001" not in {row["invoice_id"] for row in invoices.to_pylist()}
    connector.close()


def test_what_closes_or_is_approved_in_a_u8_comes_then(postgres) -> None:
    url = postgres.fresh()
    load(url)
    with psycopg.connect(url) as connection:
        connection.execute('update "RdRecord01" set "cHandler" = null where "ID" = 7001')
    areas = ("erp.sales_", "srm.", "mes.")
    plans = [e for e in find("yonyou_u8").streams if e.contract.startswith(areas)]
    connector = open_source(source(find("yonyou_u8"), url))
    first = [read_all(connector, plan) for plan in plans]
    assert "7001" not in {row.get("delivery_line_id") for rows, _ in first for row in rows}
    with psycopg.connect(url) as connection:
        # Nobody touches the head of an order whose last line closes, and this work is given up.
        connection.execute(
            'update "PO_Podetails" set "cbCloseTime" = \'2025-01-02\' where "ID" = 7002;'
            'update "RdRecord01" set "cHandler" = \'x\', "dnverifytime" = \'2025-01-02\''
            ' where "ID" = 7001;'
            'update "mom_orderdetail" set "Status" = 4, "QualifiedInQty" = 0,'
            ' "CloseTime" = \'2025-01-02\' where "MoDId" = 50001;'
            'update "SO_SOMain" set "cCloser" = \'x\', "dclosesystime" = \'2025-01-02\''
            ' where "ID" = 1002;'
            'update "SO_SODetails" set "cSCloser" = \'x\', "dbclosesystime" = \'2025-01-02\''
            ' where "iSOsID" = 3;'
            'update "SaleBillVouch" set "cInvalider" = \'x\', "dmodifysystime" = \'2025-01-02\''
            ' where "SBVID" = 4'
        )
    passes = zip(plans, first, strict=True)
    rows = {plan.contract: read_all(connector, plan, cursor)[0] for plan, (_, cursor) in passes}
    connector.close()
    told = {
        (contract, row[loader.find(contract).key[0]], row.get("status", row["_op"]))
        for contract, listed in rows.items()
        for row in listed
    }
    assert told == {
        ("srm.purchase_order.v1", "7002", "closed"),
        ("srm.purchase_order_line.v1", "7002", "upsert"),
        ("srm.delivery.v1", "7001", "upsert"),
        ("mes.work_order.v1", "50001", "closed"),
        ("erp.sales_order.v1", "1002", "closed"),
        ("erp.sales_order_line.v1", "3", "upsert"),
        ("erp.sales_invoice.v1", "4", "delete"),
    }


def test_a_silent_or_foreign_database_is_named() -> None:
    with pytest.raises(DependencyUnavailableError, match="does not answer"):
        load("postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(ConfigurationError, match="PostgreSQL or MariaDB"):
        load("sqlite:///none")


def test_what_changes_on_a_day_comes_again_and_stock_when_it_moves(
    postgres, tmp_path: Path
) -> None:
    url = postgres.fresh()
    into_database(url, tables(FACTORY, "digiwin_yifei", as_arrow(BOOKS)))
    plans = {plan.contract: plan for plan in find("digiwin_yifei").streams}
    connector = open_source(replace(source(find("digiwin_yifei"), url), memory=tmp_path))
    plan, stock = plans["erp.sales_order.v1"], plans["erp.inventory.v1"]
    cursors = {each.contract: read_all(connector, each)[1] for each in (plan, stock)}
    assert read_all(connector, plan, cursors[plan.contract])[0] == []
    with psycopg.connect(url) as connection:
        # A line that closes changes its order too.
        connection.execute(
            'update "COPTD" set "TD016" = \'y\', "MODI_DATE" = \'20250102\''
            " where \"TD002\" = '00000001001'"
        )
        connection.execute('update "INVMC" set "MC007" = 1 where "MC001" = \'CP-001\'')
    (row,), _ = read_all(connector, plan, cursors[plan.contract])
    assert (row["order_id"], row["status"]) == ("220-00000001001", "closed")
    (row,), _ = read_all(connector, stock, cursors[stock.contract])
    assert (row["product_code"], row["on_hand_qty"]) == ("CP-001", 1)
    connector.close()

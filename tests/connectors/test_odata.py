"""The odata kind with SAP's own CAP server, in V4 and through its adapter in V2."""

from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.base import ZONE, Source, StreamPlan
from connectors.check import check
from connectors.kinds.odata import OdataConnector, OdataSource, OdataStream
from connectors.web.way import Way
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.ids import ContractId, SourceId
from tests.connectors.machines.landing import agent_of, landed
from tests.connectors.machines.odata_service import READER, Service
from tests.connectors.reading import read_all
from tests.pipeline.world import World

pytestmark = pytest.mark.real_system
LOGIN = {"user": READER, "password": "sesame"}
MAPPING = """
select "ID" as key, note, cast("modifiedAt" as timestamptz) as changed, _op from rows
"""
COLUMNS = ("ID", "note", "modifiedAt")
HOW = OdataStream("SalesOrders", COLUMNS, updated="modifiedAt")
PLAN = StreamPlan(ContractId("test.row.v1"), "1.0.0", MAPPING, HOW)
WHOLE = replace(PLAN, how=replace(HOW, updated=""))
FILLED = """
insert into orders
select 'O' || n, 'SO-' || n, '2024-05-06', 'C1', '安吉家具', 'CNY', 'approved', null,
  timestamp '2024-05-06' + n * interval '1 s'
from generate_series(1, 250) n;
insert into nplusx_factory_salesorderlines
select 'O' || n, 1, 'CH-1', 2.5, '2024-06-01', 99.90, 'CNY', false,
  timestamp '2024-05-06' + n * interval '1 s'
from generate_series(1, 250) n;
insert into nplusx_factory_purchaseinvoices
values ('I1', 1, '24332000000000000001', '2024-05-06', '91330521MA2B3K7P07', '安吉五金',
  '91330523719500014U', '*五金*铰链', -100.00, 0.13, -13.00, 'CNY', '2024-05-06')
"""


@pytest.fixture
def service(orders: Service) -> Service:
    return orders


@pytest.fixture(params=[4, 2], ids=["V4", "V2"])
def version(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


def connector(
    service: Service,
    folder: Path,
    version: int = 4,
    login: dict[str, str] | None = None,
    **more: int,
) -> OdataConnector:
    way = Way(service.address(version), LOGIN if login is None else login, requests_per_second=500)
    source = OdataSource(way, **more)
    return OdataConnector(Source(SourceId("s"), "none", source, memory=folder / "memory"))


def put(service: Service, first: int, last: int, at: str = "2024-03-01", note: str = "n") -> None:
    """Write orders, three of which share a minute."""
    service.run(
        "insert into orders (id, note, modifiedat) select 'O' || to_char(n, 'FM00000'), %s,"
        " %s::timestamptz + (n / 3) * interval '1 min'"
        " from generate_series(%s::int, %s::int - 1) n",
        note, at, first, last,
    )  # fmt: skip


def keys(rows: list[dict[str, object]]) -> list[int]:
    return sorted(int(str(row["key"])[1:]) for row in rows)


@pytest.mark.parametrize("plan", [PLAN, WHOLE], ids=["by change", "whole"])
def test_first_read_what_changed_and_nothing_twice(
    service: Service, tmp_path: Path, version: int, plan: StreamPlan[OdataStream]
) -> None:
    put(service, 0, 350)
    made = connector(service, tmp_path, version)
    rows, cursor = read_all(made, plan)
    assert keys(rows) == list(range(350))
    assert read_all(made, plan, cursor)[0] == []
    service.run("update orders set note = '改 🪑', modifiedat = now() where id = 'O00007'")
    put(service, 350, 353)
    rows, cursor = read_all(made, plan, cursor)
    assert sorted((row["key"], row["note"]) for row in rows) == [
        ("O00007", "改 🪑"), ("O00350", "n"), ("O00351", "n"), ("O00352", "n"),
    ]  # fmt: skip
    assert read_all(made, plan, cursor)[0] == []
    made.close()


@pytest.mark.parametrize("same", [False, True], ids=["many moments", "one moment"])
@pytest.mark.parametrize("plan", [PLAN, WHOLE], ids=["by change", "whole"])
def test_any_cursor_is_a_place_to_go_on_from(
    service: Service, tmp_path: Path, version: int, plan: StreamPlan[OdataStream], same: bool
) -> None:
    put(service, 0, 250)
    service.run("update orders set modifiedat = null where id < 'O00003'")
    if same:
        service.run("update orders set modifiedat = '2024-03-01' where id > 'O00010'")
    made, cursor, found = connector(service, tmp_path, version, page_rows=40), None, []
    pages = 0
    while True:
        page = made.read(plan, cursor)
        cursor, pages = page.cursor, pages + 1
        found += page.rows["ID"].to_pylist() if page.rows else []
        # Somebody else goes on here, to the end.
        other = connector(service, tmp_path / str(pages), version, page_rows=33)
        if plan is PLAN:
            rest, _ = read_all(other, plan, cursor)
            assert sorted([*found, *(row["key"] for row in rest)]) == wanted(250)
        other.close()
        if not page.more:
            break
        if pages % 2:
            made.close()
            made = connector(service, tmp_path, version, page_rows=40)
    assert pages > 6
    assert sorted(found) == wanted(250)
    made.close()


def wanted(count: int) -> list[str]:
    return [f"O{n:05}" for n in range(count)]


def test_late_rows_those_without_a_moment_and_those_that_change_meanwhile(
    service: Service, tmp_path: Path, version: int
) -> None:
    put(service, 0, 200)
    made = connector(service, tmp_path, version, page_rows=50)
    page = made.read(PLAN, None)
    assert page.rows is not None
    found = page.rows["ID"].to_pylist()
    # They leave the pages that were read, so that all places behind them shift.
    service.run("update orders set modifiedat = '2024-03-02' where id < 'O00030'")
    rows, cursor = read_all(made, PLAN, page.cursor)
    assert sorted({*found, *(row["key"] for row in rows)}) == wanted(200)
    assert len(found) + len(rows) == 230
    service.run(
        "insert into orders (id, modifiedat) values ('O00901', '2024-03-01 23:57'),"
        " ('O00902', null), ('O00903', '2024-02-01')"
    )
    rows, cursor = read_all(made, PLAN, cursor)
    # What lies further back than the look-back nobody looks for.
    assert keys(rows) == [901, 902]
    assert read_all(made, PLAN, cursor)[0] == []
    made.close()


def test_values_are_those_of_the_source(service: Service, tmp_path: Path, version: int) -> None:
    text = "长" * 3_500_000
    service.run(
        "insert into orders (id, orderno, orderedon, note, modifiedat)"
        " values ('O''1 🪑', %s, '1969-12-31', %s, '2024-03-01 08:00:00.123')",
        'a"b\\ %+&?#', text,
    )  # fmt: skip
    service.run(
        "insert into nplusx_factory_salesorderlines (orderid, lineno, orderedqty, linenetamount,"
        " isclosed, modifiedat) values ('O1', 1, 12345678901234.5678, 1234567890123456.78, true,"
        " '2024-03-01')"
    )
    made = connector(service, tmp_path, version)
    everything = """
    select *, cast("modifiedAt" as timestamptz) as moment, cast("orderedOn" as date) as day
    from rows
    """
    how = OdataStream("SalesOrders", updated="modifiedAt")
    (row,), cursor = read_all(made, replace(PLAN, mapping=everything, how=how))
    assert (row["ID"], row["orderNo"], row["note"]) == ("O'1 🪑", 'a"b\\ %+&?#', text)
    assert (str(row["day"]), str(row["moment"])) == (
        "1969-12-31",
        "2024-03-01 08:00:00.123000+00:00",
    )
    assert read_all(made, replace(PLAN, how=how), cursor)[0] == []
    lines = OdataStream("SalesOrderLines", updated="modifiedAt")
    (row,), _ = read_all(made, replace(PLAN, mapping="select * from rows", how=lines))
    assert (Decimal(str(row["orderedQty"])), row["isClosed"]) == (
        Decimal("12345678901234.5678"), "true",
    )  # fmt: skip
    assert Decimal(str(row["lineNetAmount"])) == Decimal("1234567890123456.78")
    made.close()


def test_a_check_names_what_is_missing_and_forbidden(
    service: Service, tmp_path: Path, version: int
) -> None:
    put(service, 0, 5)
    made = connector(service, tmp_path, version)
    odd = [
        OdataStream("SalesOrder", COLUMNS),
        OdataStream("SalesOrders", ("ID", "notes")),
        OdataStream("SalesOrders", COLUMNS, updated="note"),
        OdataStream("Secrets"),
        HOW,
    ]
    found = list(check(made, [replace(PLAN, how=each) for each in odd], ZONE))
    assert [each.problem for each in found] == [
        "The source has no entity set SalesOrder.",
        "SalesOrders has no property notes.",
        "note is of type Edm.String, which is no moment.",
        "The source does not let this user read. (HTTP 403: Forbidden)",
        "",
    ]
    assert ("SalesOrders" in found[0].cure, "note" in found[1].cure) == (True, True)
    offered = {each.name: each for each in made.discover()}
    assert offered["SalesOrderLines"].how["keys"] == ["orderID", "lineNo"]
    assert offered["SalesOrders"].how["updated"] == "modifiedAt"
    assert offered["SalesOrderLines"].columns["orderedQty"] == "Edm.Decimal"
    made.close()


def test_who_and_where_are_told_when_they_are_wrong(service: Service, tmp_path: Path) -> None:
    wrong = {"user": "reader", "password": "pa55word"}
    made = connector(service, tmp_path, login=wrong)
    with pytest.raises(ConfigurationError, match="refuses the login") as caught:
        read_all(made, PLAN)
    assert "pa55word" not in str(caught.value)
    made.close()
    made = connector(service, tmp_path)
    lost = replace(PLAN, mapping="select nothing from rows")
    put(service, 0, 1)
    with pytest.raises(ConfigurationError, match="nothing"):
        read_all(made, lost)
    made.close()


def test_a_service_that_goes_and_comes_back(service: Service, tmp_path: Path) -> None:
    put(service, 0, 300)
    made = connector(service, tmp_path, page_rows=50)
    page = made.read(PLAN, None)
    assert page.rows is not None
    service.stop()
    try:
        with pytest.raises(DependencyUnavailableError, match="cannot be reached"):
            made.read(PLAN, page.cursor)
    finally:
        service.start()
    rows, _ = read_all(made, PLAN, page.cursor)
    assert sorted([*page.rows["ID"].to_pylist(), *(row["key"] for row in rows)]) == wanted(300)
    made.close()


def test_from_a_service_to_landed_tables(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    world = World(tmp_path / "state", monkeypatch)
    monkeypatch.setenv("NPLUSX_ODATA_PASSWORD", "sesame")
    service.run(FILLED)
    source = f"""
- id: erp
  preset: odata_factory
  address: {service.address(version)}
  page_rows: 100
  requests_per_second: 500
  login:
    user: reader
    password: ${{NPLUSX_ODATA_PASSWORD}}
"""
    contracts = [
        f"erp.{name}.v1" for name in ("sales_order", "sales_order_line", "purchase_invoice")
    ]
    with closing(agent_of(world, tmp_path, source, *contracts)) as agent:
        report = agent.round()
        assert report.is_clean, [each.error for each in report.streams]
        service.run("update orders set status = 'closed', modifiedat = now() where id = 'O7'")
        report = agent.round()
        assert [each.rows_read for each in report.streams] == [1, 0, 0]
    orders, lines, invoices = (landed(world, each) for each in contracts)
    assert (len(orders), len({row["order_id"] for row in orders})) == (251, 250)
    assert (orders[-1]["order_id"], orders[-1]["status"]) == ("O7", "closed")
    assert (len(lines), lines[0]["ordered_qty"]) == (250, Decimal("2.5000"))
    assert [(row["net_amount"], row["is_red"]) for row in invoices] == [(Decimal("-100.00"), True)]

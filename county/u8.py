"""The factory's ERP as a database: tables of the shape of Yonyou U8, loaded into PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import psycopg
from psycopg import sql

from county.books import ACCOUNTS
from county.world import FACTORY, FACTORY_NAME, Books
from kernel.errors import ConfigurationError, DependencyUnavailableError

Cell = object
_STAMPS = (
    ("dcreatesystime", "timestamp"),
    ("dmodifysystime", "timestamp"),
    ("dverifysystime", "timestamp"),
)
_COLUMNS: Mapping[str, Sequence[tuple[str, str]]] = {
    "UA_Account": (
        ("cAcc_Id", "varchar(3) primary key"),
        ("cUnitName", "varchar(120)"),
        ("cUnitTaxNo", "varchar(50)"),
    ),
    "Vendor": (
        ("cVenCode", "varchar(20) primary key"),
        ("cVenName", "varchar(98)"),
        ("cVenRegCode", "varchar(50)"),
    ),
    "Inventory": (("cInvCode", "varchar(60) primary key"), ("cInvName", "varchar(255)")),
    "code": (("ccode", "varchar(40) primary key"), ("ccode_name", "varchar(100)")),
    "SO_SOMain": (
        ("ID", "integer primary key"),
        ("cSOCode", "varchar(30)"),
        ("dDate", "timestamp"),
        ("cCusCode", "varchar(20)"),
        ("cCusName", "varchar(98)"),
        ("cexch_name", "varchar(8)"),
        ("cVerifier", "varchar(20)"),
        ("cCloser", "varchar(20)"),
        *_STAMPS,
    ),
    "SO_SODetails": (
        ("AutoID", "integer primary key"),
        ("iSOsID", "integer"),
        ("ID", "integer"),
        ("cInvCode", "varchar(60)"),
        ("iQuantity", "numeric(30, 10)"),
        ("dPreDate", "timestamp"),
        ("iMoney", "numeric(19, 4)"),
        ("cSCloser", "varchar(20)"),
    ),
    "DispatchList": (
        ("DLID", "integer primary key"),
        ("cDLCode", "varchar(30)"),
        ("dDate", "timestamp"),
        ("cVerifier", "varchar(20)"),
        *_STAMPS,
    ),
    "DispatchLists": (
        ("AutoID", "integer primary key"),
        ("iDLsID", "integer"),
        ("DLID", "integer"),
        ("iSOsID", "integer"),
        ("iQuantity", "numeric(30, 10)"),
    ),
    "PurBillVouch": (
        ("PBVID", "integer primary key"),
        ("cPBVCode", "varchar(30)"),
        ("dPBVDate", "timestamp"),
        ("cVenCode", "varchar(20)"),
        ("cexch_name", "varchar(8)"),
        ("bNegative", "boolean"),
        ("cDefine10", "varchar(60)"),
        ("cPBVVerifier", "varchar(20)"),
        *_STAMPS,
    ),
    "PurBillVouchs": (
        ("ID", "integer primary key"),
        ("PBVID", "integer"),
        ("ivouchrowno", "integer"),
        ("cInvCode", "varchar(60)"),
        ("iOriMoney", "numeric(19, 4)"),
        ("iTaxRate", "numeric(9, 4)"),
        ("iOriTaxPrice", "numeric(19, 4)"),
    ),
    "Ap_CloseBill": (
        ("iID", "integer primary key"),
        ("cVouchType", "varchar(2)"),
        ("dVouchDate", "timestamp"),
        ("cDwCode", "varchar(20)"),
        ("cexch_name", "varchar(8)"),
        ("cNoteNo", "varchar(40)"),
        ("cCheckMan", "varchar(20)"),
        *_STAMPS,
    ),
    "Ap_CloseBills": (
        ("ID", "integer primary key"),
        ("iID", "integer"),
        ("cCoVouchID", "varchar(30)"),
        ("iAmt_f", "numeric(19, 4)"),
    ),
    "GL_accvouch": (
        ("i_id", "integer primary key"),
        ("iperiod", "smallint"),
        ("csign", "varchar(8)"),
        ("ino_id", "integer"),
        ("inid", "smallint"),
        ("dbill_date", "timestamp"),
        ("cdigest", "varchar(120)"),
        ("ccode", "varchar(40)"),
        ("cn_id", "varchar(30)"),
        ("md", "numeric(19, 4)"),
        ("mc", "numeric(19, 4)"),
        ("ibook", "smallint"),
        ("tvouchtime", "timestamp"),
    ),
}
_YUAN = "人民币"
_CLERK, _CHECKER = "录入员", "审核员"
_DAY_MINUTES = 480


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the ERP, with its rows."""

    name: str
    columns: Sequence[tuple[str, str]]
    rows: tuple[tuple[Cell, ...], ...]


def tables(books: Books) -> tuple[Table, ...]:
    """Write the books as the ERP keeps them; equal books give equal tables."""
    rows = {**_masters(books), **_sales(books), **_purchases(books), **_ledger(books)}
    return tuple(Table(name, columns, tuple(rows[name])) for name, columns in _COLUMNS.items())


Rows = dict[str, list[tuple[Cell, ...]]]


def _masters(books: Books) -> Rows:
    return {
        "UA_Account": [("001", FACTORY_NAME, FACTORY)],
        "Vendor": [(each.code, each.name, each.uscc) for each in books.vendors],
        "Inventory": [
            *((each.code, each.name) for each in books.products),
            *((code, item) for item, code in _item_codes(books).items()),
        ],
        "code": list(ACCOUNTS.items()),
    }


def _item_codes(books: Books) -> dict[str, str]:
    """Number the things bought: on an invoice U8 names them by their code."""
    items = sorted({line.item for invoice in books.invoices for line in invoice.lines})
    return {item: f"MT-{n:04d}" for n, item in enumerate(items, 1)}


def _sales(books: Books) -> Rows:
    heads: list[tuple[Cell, ...]] = []
    lines: list[tuple[Cell, ...]] = []
    notes: list[tuple[Cell, ...]] = []
    note_lines: list[tuple[Cell, ...]] = []
    for order in books.orders:
        approved = None if order.is_draft else _CHECKER
        closer = _CLERK if order.is_closed and not order.is_draft else None
        customer = order.customer
        heads.append(
            (
                order.id,
                order.number,
                _midnight(order.day),
                customer.code,
                customer.name,
                _YUAN,
                approved,
                closer,
                *_stamps(order.day, order.id, approved=not order.is_draft),
            )
        )
        for line in order.lines:
            promised = line.promised_on and _midnight(line.promised_on)
            short = _CLERK if line.is_closed else None
            lines.append(
                (line.id, line.id, order.id, line.product, line.quantity, promised, line.net, short)
            )
    for each in books.deliveries:
        stamps = _stamps(each.day, each.id, approved=True)
        notes.append((each.id, each.number, _midnight(each.day), _CHECKER, *stamps))
        note_lines.append((each.id, each.id, each.id, each.order_line, each.quantity))
    return {
        "SO_SOMain": heads,
        "SO_SODetails": lines,
        "DispatchList": notes,
        "DispatchLists": note_lines,
    }


def _purchases(books: Books) -> Rows:
    codes = _item_codes(books)
    heads: list[tuple[Cell, ...]] = []
    lines: list[tuple[Cell, ...]] = []
    bills: list[tuple[Cell, ...]] = []
    bill_lines: list[tuple[Cell, ...]] = []
    for invoice in books.invoices:
        heads.append(
            (
                invoice.id,
                invoice.number,
                _midnight(invoice.day),
                invoice.vendor.code,
                _YUAN,
                False,
                None,
                _CHECKER,
                *_stamps(invoice.day, invoice.id, approved=True),
            )
        )
        for row, line in enumerate(invoice.lines, 1):
            key = invoice.id * 10 + row
            lines.append((key, invoice.id, row, codes[line.item], line.net, 13, line.tax))
    for paid in books.payments:
        stamps = _stamps(paid.day, paid.id, approved=True)
        bills.append(
            (
                paid.id,
                "49",
                _midnight(paid.day),
                paid.vendor.code,
                _YUAN,
                paid.bank_reference,
                _CHECKER,
                *stamps,
            )
        )
        bill_lines.append((paid.id, paid.id, paid.invoice, paid.amount))
    return {
        "PurBillVouch": heads,
        "PurBillVouchs": lines,
        "Ap_CloseBill": bills,
        "Ap_CloseBills": bill_lines,
    }


def _ledger(books: Books) -> Rows:
    return {
        "GL_accvouch": [
            (
                each.id,
                each.day.month,
                "记",
                each.voucher,
                each.line,
                _midnight(each.day),
                each.summary,
                each.account,
                each.invoice,
                each.debit,
                each.credit,
                1,
                _moment(each.day, each.id),
            )
            for each in books.entries
        ]
    }


def _midnight(day: date) -> datetime:
    """Write a day as U8 does: as a moment without a zone."""
    return datetime.combine(day, time())


def _moment(day: date, number: int) -> datetime:
    return datetime.combine(day, time(9)) + timedelta(minutes=number % _DAY_MINUTES)


def _stamps(day: date, number: int, *, approved: bool) -> tuple[Cell, ...]:
    made = _moment(day, number)
    return (made, None, made + timedelta(minutes=25) if approved else None)


def load(url: str, books: Books) -> dict[str, int]:
    """Put the books into a PostgreSQL database, in place of what it held; give rows by table."""
    counts: dict[str, int] = {}
    try:
        with psycopg.connect(_plain(url)) as connection:
            # One transaction: a reader sees the old books or the new ones, never half.
            for table in tables(books):
                _replace(connection, table)
                counts[table.name] = len(table.rows)
    except psycopg.OperationalError as down:
        raise DependencyUnavailableError(
            f"The demo factory's database does not answer: {str(down).strip()}.",
            where="county/u8.py",
            cure="start it with `nplusx up`, or correct its address.",
        ) from down
    return counts


def _plain(url: str) -> str:
    """Take the address as SQLAlchemy or as libpq writes it."""
    scheme, found, rest = url.partition("://")
    if not found or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConfigurationError(
            "The demo factory's ERP needs a PostgreSQL address.",
            where="county/u8.py",
            cure="give postgresql://user@host:port/database.",
        )
    return f"postgresql://{rest}"


def _replace(connection: "psycopg.Connection[tuple[object, ...]]", table: Table) -> None:
    name = sql.Identifier(table.name)
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind))
        for column, kind in table.columns
    )
    connection.execute(sql.SQL("drop table if exists {}").format(name))
    connection.execute(sql.SQL("create table {} ({})").format(name, columns))
    with connection.cursor().copy(sql.SQL("copy {} from stdin").format(name)) as copy:
        for row in table.rows:
            copy.write_row(row)

"""Puts a factory's books into a Tryton; runs in Tryton's own environment, in one transaction.

Takes: configuration, database, file of tables; the first time also the file of the reader's
password. Documents are entered as they stand in the end, as old books are carried over: with
their own numbers and days, and without the steps of a workflow, which would make them of today.
"""

import json
import sys
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import trytond.config as trytond_config
from trytond.pool import Pool
from trytond.transaction import Transaction

CONF, DATABASE, TABLES = sys.argv[1:4]
Row = dict[str, object]
ROOT, COMPANY = 1, 1
# Set behind Tryton's back: what steps would have led to, and when a row was entered.
ENTERED = ("state", "create_date")
READ = {"date": date.fromisoformat, "numeric": Decimal, "timestamp": datetime.fromisoformat}
# Each after what it refers to.
MODELS = (
    "product.uom.category", "product.uom", "product.template", "product.product",
    "production.bom", "production.bom.output", "production.bom.input",
    "party.party", "party.address", "party.identifier", "stock.location",
    "sale.sale", "sale.line", "account.invoice", "account.invoice.line",
    "purchase.purchase", "purchase.line", "production",
    "stock.shipment.out", "stock.shipment.out.return", "stock.shipment.in", "stock.move",
)  # fmt: skip


def constants(pool: Pool) -> dict[str, Row]:
    """Give what is alike in every row of a model."""
    (country,) = pool.get("country.country").search([])
    (tax,) = pool.get("account.tax").search([])
    (journal,) = pool.get("account.journal").search([("type", "=", "revenue")])
    receivable, revenue = (
        pool.get("account.account").search(
            [(f"type.{kind}", "=", True), ("closed", "!=", True)], limit=1
        )[0]
        for kind in ("receivable", "revenue")
    )
    invoice = {"type": "out", "account": receivable.id, "journal": journal.id}
    taxed = {"type": "line", "account": revenue.id, "taxes": [("add", [tax.id])]}
    return {
        "product.uom": {"rate": 1, "factor": 1, "rounding": 0.01, "digits": 2},
        "product.template": {"type": "goods", "list_price": Decimal(0)},
        "party.address": {"country": country.id},
        "account.invoice": invoice,
        "account.invoice.line": taxed,
    }


def runs(rows: list[Row]) -> Iterator[list[Row]]:
    """Split rows where their numbers do not follow each other."""
    start = 0
    for at in range(1, len(rows) + 1):
        if at == len(rows) or rows[at]["id"] != rows[at - 1]["id"] + 1:
            yield rows[start:at]
            start = at


def value_of(model: type, name: str, value: object) -> object:
    """Give a value as a field takes it."""
    read = READ.get(model._fields[name]._type)
    return value if value is None or read is None else read(value)


def enter(model: type, rows: list[Row], alike: Row) -> None:
    """Enter rows of a model under their own numbers."""
    transaction = Transaction()
    for run in runs(rows):
        transaction.database.setnextid(transaction.connection, model._table, run[0]["id"])
        values = [
            {name: value_of(model, name, e) for name, e in row.items() if name not in ENTERED}
            for row in run
        ]
        made = model.create([each | alike for each in values])
        if [each.id for each in made] != [row["id"] for row in run]:
            sys.exit(f"{model.__name__}: other numbers than {run[0]['id']} and on were given")


def settle(model: type, rows: list[Row]) -> None:
    """Let rows stand as they do in the end, and be as old as they are."""
    table, cursor = model.__table__(), Transaction().connection.cursor()
    kept = [name for name in ENTERED if rows and name in rows[0]]
    columns = [table.write_date, *(getattr(table, name) for name in kept)]
    for row in rows:
        values = [None, *(value_of(model, name, row[name]) for name in kept)]
        cursor.execute(*table.update(columns, values, where=table.id == row["id"]))


def main() -> None:
    """Enter everything, or nothing."""
    trytond_config.update_etc(CONF)
    Pool.start()
    pool = Pool(DATABASE)
    pool.init()
    told = json.loads(Path(TABLES).read_text("utf-8"))
    tables = {name: told.get(name.replace(".", "_"), []) for name in MODELS}
    context = {"company": COMPANY, "companies": [COMPANY]}
    with Transaction().start(DATABASE, ROOT, context=context):
        alike = constants(pool)
        for name, rows in tables.items():
            rows.sort(key=lambda row: row["id"])
            enter(pool.get(name), rows, alike.get(name, {}))
        for name, rows in tables.items():
            settle(pool.get(name), rows)
        for path in sys.argv[4:]:
            users = pool.get("res.user")
            users.write(
                users.search([("login", "=", "reader")]),
                {"password": Path(path).read_text("utf-8")},
            )


main()

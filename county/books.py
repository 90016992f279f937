"""All that a factory's systems hold, in the columns of contracts; the same seed, the same rows."""

from collections.abc import Mapping, Sequence

from county import catalogue, ledger, machines, production, purchasing, sales, stock
from county.dice import Dice
from county.retrofit import Purchase as Bought
from county.world import Factory, Period, Row

# By contract.
Books = Mapping[str, list[Row]]


def make_books(
    factory: Factory, within: Period, seed: int, retrofit: Sequence[Bought] = ()
) -> Books:
    """Make a factory's books: what one says the others say too."""

    def dice(name: str) -> Dice:
        return Dice(seed, f"{factory.number}/{name}")

    held = catalogue.make_catalogue(factory, dice("catalogue"))
    orders = sales.make_orders(factory, held, within, dice("orders"))
    deliveries = sales.make_deliveries(orders, within, dice("deliveries"))
    made = production.make_work_orders(orders, held, within, dice("production"))
    bought = purchasing.make_purchases(made, held, within, dice("purchases"))
    invoices = (*purchasing.make_invoices(bought, factory, within), *_invoices(retrofit))
    agreed = {each.number: each.payments for each in retrofit}
    payments = purchasing.make_payments(invoices, agreed, within, dice("payments"))
    sold = sales.rows_of(orders, deliveries, factory)
    entries = ledger.rows_of(sold["erp.sales_invoice.v1"], invoices, payments, within)
    return {
        **catalogue.rows_of(held, factory),
        **sold,
        **production.rows_of(made, within),
        **purchasing.rows_of(bought, invoices, payments, factory, within),
        **stock.rows_of(stock.make_moves(made, bought, deliveries, within), within),
        **machines.rows_of(held, within, dice("machines")),
        "erp.ledger_entry.v1": entries,
    }


def _invoices(retrofit: Sequence[Bought]) -> list[purchasing.Invoice]:
    return [
        purchasing.Invoice(
            9000 + n,
            each.number,
            each.day,
            each.vendor,
            tuple(purchasing.InvoiceLine(i.text, i.net, i.tax, i.account) for i in each.items),
            each.is_booked,
            each.red_of,
        )
        for n, each in enumerate(retrofit, 1)
    ]
